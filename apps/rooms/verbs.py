"""
The registry of verbs: every operation that changes what a room shows, with the kinds of change it makes.

tests/chat/test_changes.py holds each of them to the same contract, and fails for one that has no scene there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """What a change is, for those who are told of it."""

    name: str
    # Whether screen readers may speak it on open pages.
    announced: bool = False


@dataclass(frozen=True)
class Verb:
    """An operation, by the name of its function."""

    function: Callable[..., Any]
    kinds: tuple[Kind, ...]


VERBS: dict[str, Verb] = {}


def verb(*kinds: Kind) -> Callable[[F], F]:
    """Register an operation that changes a room or its messages in one of these ways."""

    def register(function: F) -> F:
        name = function.__name__
        if name in VERBS:
            raise ValueError(f"There are two verbs called {name}.")
        VERBS[name] = Verb(function, kinds)
        return function

    return register

"""
The registry of verbs: the operations that change what a room shows, with the kinds of change they make.

tests/chat/test_changes.py checks that each keeps the same contract, and fails for a verb without a scene.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """A kind of change, as signals name it."""

    name: str
    # Whether open pages announce it to screen readers, if the reader wants that.
    announced: bool = False


@dataclass(frozen=True)
class Verb:
    """A registered operation."""

    function: Callable[..., Any]
    kinds: tuple[Kind, ...]


VERBS: dict[str, Verb] = {}


def verb(*kinds: Kind) -> Callable[[F], F]:
    """Register a function that makes these kinds of change."""

    def register(function: F) -> F:
        name = function.__name__
        if name in VERBS:
            raise ValueError(f"There are two verbs called {name}.")
        VERBS[name] = Verb(function, kinds)
        return function

    return register

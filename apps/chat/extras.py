"""
The registry of extras: what other apps show below a message, such as reactions, a poll, files or previews.

An extra is plain values (facts) that its template shows, so it travels with its message: to pages, frames and live
views in every language, to other processes, and to readers that want no HTML.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.template.loader import render_to_string
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

# What JSON can hold: nothing about the viewer, no translated text, no list that grows with the room.
Facts = Any


class Shown(Protocol):
    """A message, stored (models.Message) or as data (shown.ShownMessage)."""

    @property
    def extras(self) -> dict[str, Facts]: ...


@dataclass(frozen=True)
class Extra:
    """What one app shows below messages."""

    name: str
    # Returns the facts of those messages that have any, by their keys, in a number of queries that doesn't grow.
    load: Callable[[Sequence[Any]], dict[int, Facts]]
    # Shows the `facts` of a `message`.
    template: str
    # What the message's own page offers with it, if anything: a template, and the facts of it for one viewer, which
    # `load_actions` returns for a MessageVisit.
    actions_template: str = ""
    load_actions: Callable[[Any], Facts] = lambda visit: None


_extras: dict[str, Extra] = {}


def register(extra: Extra) -> None:
    """Show an extra from now on, below those that were registered before."""
    if extra.name in _extras:
        raise ValueError(f"There are two extras called {extra.name}.")
    _extras[extra.name] = extra


def load(messages: Sequence[Any]) -> None:
    """Load the extras of many stored messages at once; otherwise each loads its own when it is shown."""
    for message in messages:
        message.extras = {}
    shown = [message for message in messages if not message.is_deleted]
    for extra in _extras.values() if shown else ():
        found = extra.load(shown)
        for message in shown:
            if message.pk in found:
                message.extras[extra.name] = found[message.pk]


def actions(visit: Any) -> list[tuple[str, Facts]]:
    """Return what the message's own page offers a viewer: templates and their facts."""
    return [(one.actions_template, one.load_actions(visit)) for one in _extras.values() if one.actions_template]


def render(message: Shown, user: object) -> SafeString:
    """Render a message's extras; `user` is for the times in them, as elsewhere in the message."""
    context = {"message": message, "user": user}
    shown = [(one.template, message.extras[name]) for name, one in _extras.items() if name in message.extras]
    html = [render_to_string(template, context | {"facts": facts}) for template, facts in shown]
    return format_html_join("", "{}", ((one,) for one in html))

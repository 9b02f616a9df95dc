"""
What changed, as data: the parts of a page that a change replaces, ready-made, and what each of them says.

Sockets and live views each encode parts in their own way (`to_htmx`, apps/chat/live_view.py), so no code reads HTML
that this site made. Other readers use the facts.
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple


class Swap(StrEnum):
    """What a part does with its target."""

    INNER = "innerHTML"
    OUTER = "outerHTML"
    # The same, keeping the focus and what stays equal.
    INNER_MORPH = "innerMorph"
    OUTER_MORPH = "outerMorph"
    # Goes in front of its target, which stays.
    BEFORE = "beforebegin"
    # Adds an entry to a list in the order of its number, or replaces the entry with that number.
    UPSERT = "upsert"
    # The document's title.
    TITLE = "title"


class Part(NamedTuple):
    """
    One element of a page, by its id, and what it shows from now on.

    `facts` say the same without markup, for readers other than htmx: plain values by name, among them `kind`.
    """

    target: str
    swap: str
    html: str
    facts: dict[str, Any] = {}


Parts = tuple[Part, ...]


def to_htmx(parts: Iterable[Part]) -> str:
    """The parts as fragments that htmx swaps into a page."""
    return "".join(
        _in_one_list(target, [part.html for part in some]) if swap == Swap.UPSERT else "".join(map(_fragment, some))
        for (target, swap), some in groupby(parts, key=lambda part: (part.target, part.swap))
    )


def _in_one_list(target: str, items: list[str]) -> str:
    return f'<hx-upsert hx-target="#{target}" key="data-seq" sort>{"".join(items)}</hx-upsert>'


def _fragment(part: Part) -> str:
    if part.swap == Swap.TITLE:
        return f"<title>{part.html}</title>"
    return f'<hx-partial hx-target="#{part.target}" hx-swap="{part.swap}">{part.html}</hx-partial>'

"""
A room's conversation as one page that keeps loading, for browsers without scripts.

It shows the same changes as other pages, in a form that the browser supports. Chromium patches the page
(`<template for>`, WICG's declarative partial updates). Other browsers get new messages at the end of the list, and
changes as new entries; with declarative shadow DOM, the composer stays below.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib.auth.models import AnonymousUser
from django.template import Context
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.html import strip_tags
from django.utils.translation import gettext, ngettext

from apps.accounts.models import User
from apps.accounts.templatetags.clocks import clock
from apps.accounts.viewer import Viewer
from apps.chat.mentions import is_named
from apps.chat.shown import KIND, ShownMessage, from_facts
from apps.chat.spoken import text_of
from apps.chat.templatetags.spoken import ORDERS, spoken
from apps.live.frames import Burst
from apps.live.parts import Part
from apps.rooms.access import Visit
from apps.rooms.models import Membership

# The first Chromium version known to support it.
PATCHING_CHROMIUM = 156

# Invisible keep-alive: stops proxies closing the connection, and detects clients that have left.
HEARTBEAT = "<!-- live -->\n"


def can_patch(user_agent: str) -> bool:
    """Return whether the browser supports patching the page."""
    found = re.search(r"\b(?:Headless)?Chrome/(\d+)\b", user_agent)
    return found is not None and int(found[1]) >= PATCHING_CHROMIUM


class Style(NamedTuple):
    """How a live view shows messages. Views of the same style share their rendering."""

    patches: bool
    language: str
    clock: str = ""
    time_zone: str = ""
    reading_order: str = ""

    @property
    def is_usual(self) -> bool:
        """Whether messages look as they do in frames, which are the same for all viewers."""
        return not (self.clock or self.time_zone or self.reading_order)

    @property
    def context(self) -> dict[str, Any]:
        """What a template needs to show things in this style."""
        if self.is_usual:
            return {}
        return {"user": User(clock=self.clock, time_zone=self.time_zone, reading_order=self.reading_order)}


class Piece(NamedTuple):
    """A message, rendered for a live view."""

    seq: int
    author: str
    # The words that follow an @.
    mentions: list[str]
    # Its announcement.
    spoken: str
    # The HTML for a new message, and for a change to one that the page shows.
    appended: str
    changed: str


def style_of(viewer: Viewer, *, patches: bool, language: str) -> Style:
    """Return the style for a viewer."""
    if isinstance(viewer, AnonymousUser):
        return Style(patches, language)
    return Style(patches, language, viewer.clock, viewer.time_zone, viewer.reading_order)


def pieces_of(burst: Burst, style: Style) -> list[Piece]:
    """Return the messages in a burst, rendered once for all live views of a style."""
    return burst.once(style, lambda: [piece_of(message, html, style) for message, html in messages_in(burst)])


def messages_in(burst: Burst) -> Iterator[tuple[ShownMessage, str]]:
    """Yield the messages that a burst shows, each with its HTML if that was made."""
    for part in parts_of(burst):
        if part.facts.get("kind") == KIND:
            yield from_facts(part.facts), part.html
        for facts in part.facts.get("messages", ()):
            yield from_facts(facts), ""


def parts_of(burst: Burst) -> Iterator[Part]:
    """Yield all parts in a burst."""
    for frame in burst.frames:
        yield from frame.parts


def piece_of(message: ShownMessage, html: str, style: Style) -> Piece:
    """Render one message; `html` is its HTML in the usual style, if that exists."""
    with translation.override(style.language):
        if not html or not style.is_usual:
            html = render_to_string("chat/message.html", {"message": message} | style.context)
        item = html.strip()
        if style.patches:
            place = f'<?start name="message-{message.pk}">{item}<?end>'
            appended = f'<template for="more">{place}<?marker name="more"></template>'
            changed = f'<template for="message-{message.pk}">{place}</template>'
        else:
            appended, changed = item, changed_entry(message, style)
        announced = announcement_of(message, style)
    return Piece(message.seq, message.author_username, message.mentions.split(), announced, appended, changed)


def announcement_of(message: ShownMessage, style: Style) -> str:
    """Return the announcement of a message, in the style's reading order and by its clock."""
    name = message.author_name
    return spoken(
        ORDERS[style.reading_order],
        author=f"{name} ({message.author_username})" if message.shows_username else name,
        text=gettext("This message was deleted.") if message.is_deleted else text_of(message.html),
        time=strip_tags(clock(Context(style.context), message.created_at)),
    )


def changed_entry(message: ShownMessage, style: Style) -> str:
    """
    Render a changed message as a new entry, for a page that can't replace the old one.

    Without ids, which already exist on the page, and without a day heading or group.
    """
    return render_to_string("chat/stream_changed.html", {"message": message} | style.context).strip()


@dataclass
class Stream:
    """One live view: what it has shown, and how to show more."""

    visit: Visit
    style: Style
    # The page shows every message of the room from one number to the other.
    oldest: int = 0
    newest: int = 0
    farewell: str = ""

    def more(self, burst: Burst) -> str:
        """Return HTML that, appended to the page, shows a burst's changes."""
        for part in parts_of(burst):
            if part.facts.get("kind") == "farewell":
                self.farewell = part.facts["reason"]
        parts: list[str] = []
        arrived: list[Piece] = []
        for piece in pieces_of(burst, self.style):
            if piece.seq > self.newest:
                self.newest = piece.seq
                arrived.append(piece)
                parts.append(piece.appended)
            elif piece.seq >= self.oldest:
                parts.append(piece.changed)
        if arrived and self.style.patches and (line := self.announced(arrived)):
            parts.append(f'<template for="announced"><?start name="announced">{line}<?end></template>')
        return "".join(parts)

    def announced(self, arrived: list[Piece]) -> str:
        """Return the announcement of new messages, by the room's level; announcer.js does this in other pages."""
        own = self.visit.viewer.username if isinstance(self.visit.viewer, User) else None
        level = self.visit.announces
        others = [piece for piece in arrived if piece.author != own]
        if level == Membership.Announces.MENTIONS:
            others = [piece for piece in others if is_named(piece.mentions, str(own))]
        if not others or level == Membership.Announces.OFF:
            return ""
        if level != Membership.Announces.COUNT and len(others) == 1:
            return others[0].spoken
        with translation.override(self.style.language):
            words = ngettext("%(count)s new message", "%(count)s new messages", len(others))
        return words % {"count": len(others)}

    def ending(self, *, timed_out: bool) -> str:
        """Return the end of the page: why it ends, and how to continue."""
        context = {"room": self.visit.room, "farewell": self.farewell, "timed_out": timed_out}
        with translation.override(self.style.language):
            text = render_to_string("chat/stream_end.html", context)
        if self.style.patches:
            return f'<template for="status">{text}</template></body></html>'
        return f"</ol>{text}</div></main></body></html>"

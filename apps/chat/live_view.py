"""
A room's conversation as one page that keeps loading, for browsers without scripts.

The hub's frames are made for htmx. This module converts their messages to what the browser supports. Chromium patches
the page (`<template for>`, WICG's declarative partial updates). Other browsers get new messages at the end of the
list, and changes as new entries; with declarative shadow DOM, the composer stays below.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from html import unescape
from typing import NamedTuple

from django.contrib.auth.models import AnonymousUser
from django.template import Context
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from apps.accounts.models import User
from apps.accounts.templatetags.clocks import clock
from apps.accounts.viewer import Viewer
from apps.chat.mentions import is_named
from apps.chat.spoken import text_of
from apps.chat.templatetags.spoken import label_of, spoken
from apps.rooms.access import Visit
from apps.rooms.models import Membership

# The first Chromium version known to support it.
PATCHING_CHROMIUM = 156

# User text is only in the body, which never contains <div> or <article> (apps/chat/markdown.py) and stays unchanged.
MESSAGE = re.compile(
    r"""
    (?P<head>
    <li\ id="message-(?P<pk>\d+)"\s+class="(?P<kind>[^"]*)"\s+data-seq="(?P<seq>\d+)"[^>]*?
    (?:\s+data-mentions="(?P<mentions>[^"]*)")?\s+data-author="(?P<author>[^"]*)">
    .*?(?P<avatar><(?:img|span)\ class="avatar[^>]*>(?:</span>)?)
    \s*<h3\ [^>]*>\s*(?P<name>.*?)\s*</h3>
    \s*<div\ [^>]*>)
    (?P<body>.*?)
    (?P<tail></div>\s*(?P<fold><details\ .*?</details>)?
    \s*<p\ class="meta">\s*<a\ href="(?P<address>[^"]*)".*?</article>\s*</li>)
    """,
    re.DOTALL | re.VERBOSE,
)
# The time of a message. Day headings have no hour, and user text contains no <time>.
TIME = re.compile(r'<time datetime="([^"]+T[^"]+)"[^>]*>[^<]*</time>')
# Invisible keep-alive: stops proxies closing the connection, and detects clients that have left.
HEARTBEAT = "<!-- live -->\n"
FAREWELL = re.compile(r'<hx-partial hx-target="#alert" hx-swap="innerHTML">(.*?)</hx-partial>', re.DOTALL)


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


class Piece(NamedTuple):
    """A message in a frame, rendered for a live view."""

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


@lru_cache(maxsize=32)
def pieces_of(frame: str, style: Style) -> list[Piece]:
    """Return the messages in a frame, rendered once for all live views of a style."""
    with translation.override(style.language):
        return [piece_of(found, style) for found in MESSAGE.finditer(frame)]


def piece_of(found: re.Match[str], style: Style) -> Piece:
    """Render one message."""
    head, tail = for_viewer(found, style)
    item = head + found["body"] + tail
    announced = spoken(
        style.reading_order, author=plain(found["name"]), text=text_of(found["body"]), time=time_in(tail)
    )
    if style.patches:
        place = f'<?start name="message-{found["pk"]}">{item}<?end>'
        appended = f'<template for="more">{place}<?marker name="more"></template>'
        changed = f'<template for="message-{found["pk"]}">{place}</template>'
    else:
        appended, changed = item, changed_entry(found, tail)
    return Piece(int(found["seq"]), found["author"], (found["mentions"] or "").split(), announced, appended, changed)


def for_viewer(found: re.Match[str], style: Style) -> tuple[str, str]:
    """Apply the viewer's clock and reading order to the HTML around a message's text, as viewer.js does in pages."""
    head, tail = found["head"], found["tail"]
    if not (style.clock or style.time_zone or style.reading_order):
        return head, tail
    viewer = User(clock=style.clock, time_zone=style.time_zone, reading_order=style.reading_order)
    context = Context({"user": viewer})
    tail = TIME.sub(lambda time: clock(context, datetime.fromisoformat(time[1])), tail)
    usual, liked = label_of(Context(), int(found["pk"])), label_of(context, int(found["pk"]))
    return head.replace(f'aria-labelledby="{usual}"', f'aria-labelledby="{liked}"'), tail


def plain(markup: str) -> str:
    """Return the text of some HTML."""
    return unescape(strip_tags(markup))


def time_in(item: str) -> str:
    """Return the time that a message shows."""
    return plain(found[0]) if (found := TIME.search(item)) else ""


def changed_entry(found: re.Match[str], tail: str) -> str:
    """
    Render a changed message as a new entry, for a page that can't replace the old one.

    Without ids, which already exist on the page, and without a day heading or group.
    """
    kinds = found["kind"].split()
    time = TIME.search(tail)
    context = {
        "is_deleted": "deleted" in kinds,
        "time": SafeString(time[0] if time else ""),
        **{part: SafeString(found[part] or "") for part in ("avatar", "name", "body", "fold", "address")},
    }
    return render_to_string("chat/stream_changed.html", context).strip()


@dataclass
class Stream:
    """One live view: what it has shown, and how to show more."""

    visit: Visit
    style: Style
    # The page shows every message of the room from one number to the other.
    oldest: int = 0
    newest: int = 0
    farewell: str = ""

    def more(self, frame: str) -> str:
        """Return HTML that, appended to the page, shows a frame's changes."""
        if farewell := FAREWELL.search(frame):
            self.farewell = plain(farewell[1])
        parts: list[str] = []
        arrived: list[Piece] = []
        for piece in pieces_of(frame, self.style):
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

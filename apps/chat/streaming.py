"""
A room's conversation as one page that does not end, for browsers without scripts.

The hub's frames are made for htmx. Here each message in them is put where the browser can put it: Chromium patches
what it has shown (`<template for>`, WICG's declarative partial updates). Every other browser gets new messages at
the end of the list, and changes as new entries; where it knows declarative shadow DOM, the composer stays below.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from django.contrib.auth.models import AnonymousUser
from django.template import Context
from django.template.loader import render_to_string
from django.utils.html import strip_tags
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import User
from apps.chat.templatetags.chat import clock, label_of
from apps.rooms.access import Visit
from apps.rooms.models import Membership, type_of_viewer

# The first Chromium that was seen to do it.
PATCHING_CHROMIUM = 156

# Messages never hold <article>, and no id of their own (apps/chat/markdown.py).
MESSAGE = re.compile(
    r"""
    <li\ id="message-(?P<pk>\d+)"\ class="(?P<kind>[^"]*)"\ data-seq="(?P<seq>\d+)"[^>]*data-author="(?P<author>[^"]*)">
    .*?<h3\ [^>]*>(?P<name>.*?)</h3>
    \s*<div\ [^>]*>(?P<body>.*?)</div>
    \s*<p\ class="meta">.*?</article>\s*</li>
    """,
    re.DOTALL | re.VERBOSE,
)
# The time of a message; days have no hour, and people write no <time>.
TIME = re.compile(r'<time datetime="([^"]+T[^"]+)"[^>]*>[^<]*</time>')
# Nothing to see: it keeps what lies between from closing the connection, and finds out who has gone.
HEARTBEAT = "<!-- live -->\n"
FAREWELL = re.compile(r'<hx-partial hx-target="#alert" hx-swap="innerHTML">(.*?)</hx-partial>', re.DOTALL)


def can_patch(user_agent: str) -> bool:
    """Whether the browser patches what it has shown."""
    found = re.search(r"\b(?:Headless)?Chrome/(\d+)\b", user_agent)
    return found is not None and int(found[1]) >= PATCHING_CHROMIUM


@lru_cache(maxsize=32)
def messages_in(frames: str) -> list[re.Match[str]]:
    """The messages in a frame, found once for all live views that it goes to."""
    return list(MESSAGE.finditer(frames))


def for_viewer(item: str, pk: str, viewer: type_of_viewer) -> str:
    """A message by the viewer's own clock and in their order, which in pages viewer.js sees to."""
    if isinstance(viewer, AnonymousUser) or not (viewer.clock or viewer.time_zone or viewer.reading_order):
        return item
    context = Context({"user": viewer})
    item = TIME.sub(lambda found: clock(context, datetime.fromisoformat(found[1])), item)
    usual, liked = label_of(Context(), int(pk)), label_of(context, int(pk))
    return item.replace(f'aria-labelledby="{usual}"', f'aria-labelledby="{liked}"')


@dataclass
class Stream:
    """One page: what it has shown so far, and how to show more."""

    visit: Visit
    patches: bool
    shown: set[int] = field(default_factory=set)
    newest: int = 0
    farewell: str = ""

    def note(self, pk: int, seq: int) -> None:
        """Remember that a message is on the page."""
        self.shown.add(pk)
        self.newest = max(self.newest, seq)

    def place(self, pk: str, item: str) -> str:
        """A message as the viewer likes it, between the marks that a patch for it needs."""
        item = for_viewer(item, pk, self.visit.viewer)
        return f'<?start name="message-{pk}">{item}<?end>' if self.patches else item

    def more(self, frames: str) -> str:
        """What shows the frames' changes when it is added to the page."""
        parts = []
        if farewell := FAREWELL.search(frames):
            self.farewell = farewell[1]
        arrived: list[re.Match[str]] = []
        for found in messages_in(frames):
            if int(found["seq"]) > self.newest:
                self.note(int(found["pk"]), int(found["seq"]))
                arrived.append(found)
                parts.append(self.appended(found))
            elif int(found["pk"]) in self.shown:
                parts.append(self.changed(found))
        if self.patches and (line := self.announced(arrived)):
            parts.append(f'<template for="announced"><?start name="announced">{line}<?end></template>')
        return "".join(parts)

    def appended(self, found: re.Match[str]) -> str:
        """A new message."""
        item = self.place(found["pk"], found[0])
        return f'<template for="more">{item}<?marker name="more"></template>' if self.patches else item

    def changed(self, found: re.Match[str]) -> str:
        """A message as it is now."""
        item = self.place(found["pk"], found[0])
        if self.patches:
            return f'<template for="message-{found["pk"]}">{item}</template>'
        word = _("Deleted") if "deleted" in found["kind"].split() else _("Edited")
        # Without ids, of which the page has these already.
        item = re.sub(r' (?:id|aria-labelledby)="[^"]*"', "", item)
        return item.replace('<p class="meta">', f'<p class="meta"><strong class="changed">{word}</strong> ', 1)

    def announced(self, arrived: list[re.Match[str]]) -> str:
        """What a screen reader speaks of new messages, by the room's level; with scripts announcer.js does this."""
        own = self.visit.viewer.username if isinstance(self.visit.viewer, User) else None
        others = [found for found in arrived if found["author"] != own]
        level = self.visit.announces
        if level == Membership.Announces.MENTIONS:
            others = [found for found in others if f"@{own}".lower() in found["body"].lower()]
        if not others or level == Membership.Announces.OFF:
            return ""
        if level == Membership.Announces.COUNT or len(others) > 1:
            words = ngettext("%(count)s new message", "%(count)s new messages", len(others))
            return words % {"count": len(others)}
        return f"{strip_tags(others[0]['name'])}: {' '.join(strip_tags(others[0]['body']).split())}"

    def ending(self, *, timed_out: bool) -> str:
        """The page's last part: why it ends, and the way on."""
        context = {"room": self.visit.room, "farewell": self.farewell, "timed_out": timed_out}
        text = render_to_string("chat/stream_end.html", context)
        if self.patches:
            return f'<template for="status">{text}</template></body></html>'
        return f"</ol>{text}</div></main></body></html>"

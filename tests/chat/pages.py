"""What open pages show: of a room with scripts, and of its live view without them."""

import re
from dataclasses import dataclass, field
from html import unescape

from django.utils.html import strip_tags

from apps.accounts.models import User
from apps.chat.live_view import Stream, style_of
from apps.live.parts import Parts, to_htmx
from apps.rooms.access import room_for
from tests.bursts import burst_of
from tests.conftest import client_of

ITEM = re.compile(r'<li id="message-(?P<pk>\d+)".*?data-seq="(?P<seq>\d+)".*?</article>\s*</li>', re.DOTALL)
PARTS = {
    "room-details": re.compile(r'<div id="room-details">(.*?)</div>', re.DOTALL),
    "members-panel": re.compile(r'<aside id="members-panel"[^>]*>(.*?)</aside>', re.DOTALL),
    "member-count": re.compile(r'<span id="member-count">(.*?)</span>', re.DOTALL),
}
STEP = re.compile(
    r'<hx-upsert hx-target="#messages"[^>]*>(?P<items>.*?)</hx-upsert>'
    r'|<hx-partial hx-target="#(?P<target>[^"]*)" hx-swap="(?P<swap>\w+)">(?P<html>.*?)</hx-partial>',
    re.DOTALL,
)
PATCH = re.compile(r'<template for="(?P<target>[^"]*)">(?P<html>.*?)</template>', re.DOTALL)
# What an entry of a message shows to whoever looks at it, with what other apps show below it.
SHOWN = re.compile(r'<h3 [^>]*>(?P<author>.*?)</h3>.*?<div class="body"[^>]*>(?P<body>.*?)<p class="meta">', re.DOTALL)


def plain(html: str) -> str:
    """HTML without invisible differences; a room's old slugs redirect to it."""
    return re.sub(r'"/rooms/[^/"]+/', '"/rooms/-/', " ".join(html.split())).strip()


def items_in(html: str) -> dict[int, str]:
    """The messages in some HTML, by their numbers."""
    return {int(found["seq"]): plain(found[0]) for found in ITEM.finditer(html)}


@dataclass
class Page:
    """A room page: its messages by number, and the other parts that change."""

    messages: dict[int, str]
    parts: dict[str, str]

    def apply(self, parts: Parts) -> None:
        """Do with a frame of these parts what htmx does."""
        for step in STEP.finditer(to_htmx(parts)):
            if step["items"] is not None:
                self.messages |= items_in(step["items"])
            elif step["target"].startswith("message-"):
                assert step["swap"] == "outerHTML"
                self.messages |= {seq: item for seq, item in items_in(step["html"]).items() if seq in self.messages}
            else:
                assert step["swap"] == "innerHTML"
                self.parts[step["target"]] = plain(step["html"])
        self.messages = dict(sorted(self.messages.items()))


def page_of(viewer: User, address: str) -> Page:
    """The page as the server sends it."""
    answer = client_of(viewer).get(address, follow=True)
    html = answer.content.decode()
    parts = {name: plain(found[1]) for name, pattern in PARTS.items() if (found := pattern.search(html))}
    assert set(parts) == set(PARTS), html
    return Page(items_in(html), parts)


@dataclass
class LiveView:
    """A live view: the entries that it shows, by the id of the message or, of those without one, at the end."""

    stream: Stream
    entries: dict[str, str] = field(default_factory=dict)

    def apply(self, parts: Parts) -> str:
        """Do with a frame of these parts what a browser without scripts does; return what it was sent."""
        html = self.stream.more(burst_of(parts))
        if self.stream.style.patches:
            assert not strip_tags(PATCH.sub("", html)).strip(), "what is no patch is shown at the end of the page"
            for patch in PATCH.finditer(html):
                if patch["target"] != "announced":
                    self.entries |= entries_in(patch["html"])
        else:
            self.entries |= entries_in(html)
        return html


def entries_in(html: str) -> dict[str, str]:
    """What entries of messages show, by the address of the message."""
    found = {}
    for item in re.findall(r"<li .*?</article>\s*</li>", html, re.DOTALL):
        address = re.search(r'href="/rooms/[^/]+/messages/(\d+)/"', item)
        shown = SHOWN.search(item)
        assert address, item
        assert shown, item
        found[address[1]] = " ".join(unescape(strip_tags(f"{shown['author']} {shown['body']}")).split())
    return found


def live_view_of(viewer: User, slug: str, page: Page, *, patches: bool) -> LiveView:
    """A live view that has shown what is on the page."""
    stream = Stream(room_for(viewer, slug), style_of(viewer, patches=patches, language="en"))
    stream.oldest, stream.newest = min(page.messages), max(page.messages)
    return LiveView(stream, entries_in("".join(page.messages.values())))

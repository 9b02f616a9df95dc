"""Many room pages without a browser: each behaves like a real one, and records what it was told and shown."""

import asyncio
import json
import random
import re
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.typing import Origin

from tests.servers import FRAMES

# Unread counts of other rooms, which have no number.
WHISPER = '<hx-partial hx-target="#room'
NUMBERS = re.compile(r'^<hx-seq topic="room\.\d+" after="(\d+)" value="(\d+)"(?: epoch="(\w*)")?></hx-seq>')
ITEM = re.compile(r'<li id="message-(\d+)"[^>]*\sdata-seq="(\d+)" data-version="(\d+)".*?</li>\n', re.DOTALL)
# Seconds until an unanswered post is sent again over a new connection.
ANSWER_PATIENCE = 4.0
# Seconds of silence after which a page considers its connection dead, as in static/js/connection.js.
SILENCE = 45.0


@dataclass
class Post:
    """A post, and what became of it."""

    body: str
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    message: int | None = None


@dataclass
class Faults:
    """Descriptions of everything that went wrong."""

    found: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.found.append(text)


@dataclass(eq=False)
class Page:
    """One user's page of a room. `address` is called for each connection and returns where to connect."""

    address: Callable[[], str]
    origin: str
    cookie: str
    slug: str
    faults: Faults
    head: int = 0
    # The database's epoch as the page knows it, and how often the page was told of another.
    epoch: str = ""
    went_back: int = 0
    # By number: the message's id and its markup.
    shown: dict[int, tuple[int, str]] = field(default_factory=dict)
    outbox: list[Post] = field(default_factory=list)
    told: list[Post] = field(default_factory=list)
    frames: int = 0
    again: int = 0
    connects: int = 0
    attempt: int = 0
    socket: ClientConnection | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                async with connect(
                    f"{self.address()}/ws/rooms/{self.slug}/?{FRAMES}&since={self.head}&epoch={self.epoch}",
                    additional_headers={"Cookie": f"sessionid={self.cookie}"},
                    origin=Origin(self.origin),
                    compression=None,
                    ping_interval=None,
                    open_timeout=5,
                    close_timeout=1,
                    max_size=None,
                ) as self.socket:
                    self.connects += 1
                    await self.listen(self.socket)
            except (OSError, WebSocketException, InvalidHandshake, TimeoutError, EOFError):
                pass
            closed = self.socket.close_code if self.socket else None
            if closed and 4000 <= closed < 5000:
                self.faults.note(f"a page was closed with {closed}")
                return
            self.socket = None
            await asyncio.sleep(random.random() * min(4.0, 0.2 * 2**self.attempt))
            self.attempt += 1

    async def listen(self, socket: ClientConnection) -> None:
        """Receive over one connection, and send the outbox."""
        sending = asyncio.create_task(self.send_outbox(socket))
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    text = await socket.recv()
                self.attempt = 0
                if not self.take(str(text)):
                    return
        finally:
            sending.cancel()

    async def send_outbox(self, socket: ClientConnection) -> None:
        """Send one post at a time; a connection that does not answer is dropped."""
        try:
            while True:
                while not self.outbox:
                    self.changed.clear()
                    await self.changed.wait()
                post = self.outbox[0]
                fields = {"body": post.body, "client_id": post.client_id, "headers": {"HX-Request": "true"}}
                await socket.send(json.dumps(fields))
                async with asyncio.timeout(ANSWER_PATIENCE):
                    while self.outbox and self.outbox[0] is post:
                        self.changed.clear()
                        await self.changed.wait()
        except TimeoutError:
            socket.transport.abort()
        except WebSocketException:
            pass

    def say(self, body: str) -> None:
        """Put a post into the outbox."""
        self.outbox.append(Post(body))
        self.changed.set()

    def take(self, text: str) -> bool:
        """Show a frame; returns False if an earlier one never arrived."""
        self.frames += 1
        if text.startswith("<hx-sent"):
            self.settle(text)
        elif text.startswith("<hx-delayed"):
            # Send it again after a while, over whichever connection there is then.
            asyncio.get_running_loop().call_later(0.3, self.send_again)
        elif numbers := NUMBERS.match(text):
            after, value = int(numbers[1]), int(numbers[2])
            if after > self.head:
                return False
            if numbers[3] is None:
                self.show(text, is_live=after == self.head)
                self.head = max(self.head, value)
            else:
                self.show(text, is_live=False)
                self.head, self.epoch, self.went_back = value, numbers[3], self.went_back + 1
        elif not text.startswith(WHISPER):
            self.faults.note(f"an unexpected answer: {text[:200]}")
        return True

    def settle(self, text: str) -> None:
        """Handle the acknowledgement of a post."""
        answer = re.match(r'<hx-sent client="([^"]+)" message="(\d+)"', text)
        if answer and self.outbox and self.outbox[0].client_id == answer[1]:
            post = self.outbox.pop(0)
            post.message = int(answer[2])
            self.told.append(post)
            self.changed.set()

    def send_again(self) -> None:
        if self.outbox and self.socket:
            self.socket.transport.abort()

    def show(self, text: str, *, is_live: bool) -> None:
        """Put the frame's messages into the page."""
        if 'hx-target="#conversation"' in text:
            self.shown.clear()
        newest = max(self.shown, default=0)
        for item in ITEM.finditer(text):
            message, seq = int(item[1]), int(item[2])
            if seq in self.shown:
                self.again += 1
            elif seq < newest and is_live:
                self.faults.note(f"number {seq} was shown after {newest}")
            self.shown[seq] = (message, item[0])
            newest = max(newest, seq)


def fresh_items(url: str, cookie: str, slug: str) -> list[str]:
    """The messages of the room's page when it is loaded now."""
    request = urllib.request.Request(f"{url}/rooms/{slug}/", headers={"Cookie": f"sessionid={cookie}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return [item[0] for item in ITEM.finditer(answer.read().decode())]

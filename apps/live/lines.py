"""
Lines: how frames reach one open page, without waiting and without end.

A line takes what it is given at once, or is cut. ASGI's own `send` tells nothing of how much a client has not yet
read, and under Daphne it costs ten times what the operating system needs, so there a line writes to the connection
itself (docs/architecture.md has the figures). Under any other server it goes by `send`.
"""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Protocol

from asgiref.sync import markcoroutinefunction
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.tcp import Connection

from apps.core.connections import unread_of

logger = logging.getLogger(__name__)

# What may wait for a client that does not read; one that leaves more unread is cut.
MAX_UNREAD_BYTES = 512 * 1024
# How often to look whether a client has read what it was sent, and for how long to look.
READING_PAUSE_SECONDS = 0.05
MAX_READING_SECONDS = 20.0

Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Burst:
    """Frames that go out together: made once, and encoded once, for all pages."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    @cached_property
    def wire(self) -> bytes:
        """The frames as they stand on the wire: whole text frames without a mask (RFC 6455, 5.2)."""
        return b"".join(encoded(text.encode()) for text in self.texts)


def encoded(payload: bytes) -> bytes:
    """One unmasked text frame."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


class Line(Protocol):
    """Where the frames for one page go."""

    @property
    def unread(self) -> int:
        """How many bytes have not left this process yet."""

    def write(self, burst: Burst) -> bool:
        """Send at once or as soon as the client reads; False, and the line is cut, where it has left too much."""

    def close(self, code: int) -> None:
        """Close with a code, after all that was written."""


def is_plain(transport: object) -> bool:
    """Whether what is written to Twisted's transport goes to the operating system as it is."""
    return isinstance(transport, Connection) and not transport.TLS


def write_at_once(transport: Any, send_now: Callable[[bytes], int], wire: bytes) -> bool:
    """
    Write to a connection that has nothing unread, in one system call; False where it is gone.

    Twisted would wait for the socket to be writable, which it nearly always is, with three system calls more.
    """
    try:
        sent = send_now(wire)
    except BlockingIOError:
        sent = 0
    except OSError:
        return False  # Twisted finds that the connection is gone when it next reads
    if sent < len(wire):
        transport.write(wire[sent:])
    return True


STATE_OPEN = WebSocketProtocol.STATE_OPEN


class DaphneLine:
    """A socket under Daphne."""

    __slots__ = ("is_plain", "protocol", "send_now", "transport")

    def __init__(self, protocol: WebSocketProtocol) -> None:
        self.protocol = protocol
        transport = protocol.transport
        # Through TLS inside Daphne, and for a client that negotiated compression, the protocol has to do it.
        self.is_plain = is_plain(transport) and not protocol._perMessageCompress
        self.transport = transport
        self.send_now = transport.getHandle().send if self.is_plain else None

    @property
    def unread(self) -> int:
        return unread_of(self.transport) if self.is_plain else 0

    def write(self, burst: Burst) -> bool:
        if self.protocol.state != STATE_OPEN:
            return False
        if self.send_now is None:
            for text in burst.texts:
                self.protocol.sendMessage(text.encode())
            return True
        wire = burst.wire
        if unread := self.unread:
            if unread + len(wire) > MAX_UNREAD_BYTES:
                logger.info("A page that left %d bytes unread was cut", unread)
                self.protocol.dropConnection(abort=True)
                return False
            self.transport.write(wire)
            return True
        return write_at_once(self.transport, self.send_now, wire)

    def close(self, code: int) -> None:
        if self.protocol.state == STATE_OPEN:
            self.protocol.sendClose(code=code)


class AsgiLine:
    """A socket under any ASGI server, whose `send` may wait for the client."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.waiting: deque[dict[str, Any]] = deque()
        self.unread = 0
        self.sending: asyncio.Task[None] | None = None
        self.is_open = True

    def write(self, burst: Burst) -> bool:
        if not self.is_open:
            return False
        if self.unread and self.unread + sum(map(len, burst.texts)) > MAX_UNREAD_BYTES:
            self.waiting.clear()
            self.close(1000)
            return False
        for text in burst.texts:
            self.unread += len(text)
            self.put({"type": "websocket.send", "text": text})
        return True

    def close(self, code: int) -> None:
        if self.is_open:
            self.is_open = False
            self.put({"type": "websocket.close", "code": code})

    def put(self, event: dict[str, Any]) -> None:
        self.waiting.append(event)
        if self.sending is None:
            self.sending = asyncio.create_task(self.send_waiting())

    async def send_waiting(self) -> None:
        try:
            while self.waiting:
                event = self.waiting.popleft()
                await self.send(event)
                self.unread -= len(event.get("text", ""))
        except Exception:
            self.is_open = False
            self.waiting.clear()
        finally:
            self.sending = None


async def until_read(line: Line) -> bool:
    """Wait until the client has been sent all that was written; False where it takes no more."""
    for _ in range(int(MAX_READING_SECONDS / READING_PAUSE_SECONDS)):
        if not line.unread:
            return True
        await asyncio.sleep(READING_PAUSE_SECONDS)
    return False


def line_for(send: Any) -> Line:
    """The line of a socket, from the `send` that the server itself gave for it."""
    # Daphne's own `send` is a method of its server with the connection bound to it.
    if isinstance(send, functools.partial) and send.args and isinstance(send.args[0], WebSocketProtocol):
        return DaphneLine(send.args[0])
    return AsgiLine(send)


def with_lines(application: Application) -> Application:
    """
    Put each socket's line into its scope, and for pages the server's own `send` (response_lines.py).

    Outermost, since middleware inside replaces `send`.
    """

    # Not a coroutine of its own, which would be kept for as long as the socket is open.
    def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] == "websocket":
            scope["line"] = line_for(send)
        else:
            scope["send"] = send
        return application(scope, receive, send)

    return markcoroutinefunction(wrapped)

"""
Lines: non-blocking, bounded writes of frames to one open page.

A line accepts a write at once, or disconnects. ASGI's own `send` doesn't tell how much a client has left unread, and
under Daphne it costs ten times as much as the system call. So under Daphne a line writes to the connection itself
(docs/architecture.md has the figures); under any other server it uses `send`.
"""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from asgiref.sync import markcoroutinefunction
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.tcp import Connection

from apps.core.connections import unread_of
from apps.live.frames import Burst

logger = logging.getLogger(__name__)

# Maximum queued for a slow client before it is disconnected.
MAX_UNREAD_BYTES = 512 * 1024
# How often to check whether a client has read what it was sent, and for how long.
READING_PAUSE_SECONDS = 0.05
MAX_READING_SECONDS = 20.0

Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Line(Protocol):
    """The connection that one page's frames are written to."""

    @property
    def unread(self) -> int:
        """How many bytes have not left this process."""

    def write(self, burst: Burst) -> bool:
        """Send now or as soon as the client reads; disconnect and return False if it has left too much unread."""

    def close(self, code: int) -> None:
        """Close with a code, after everything already written."""


def is_plain(transport: object) -> bool:
    """Return whether bytes written to Twisted's transport reach the operating system unchanged."""
    return isinstance(transport, Connection) and not transport.TLS


def write_at_once(transport: Any, send_now: Callable[[bytes], int], wire: bytes) -> bool:
    """
    Write to a connection with nothing queued, in one system call; return False if it is closed.

    Twisted would first wait for the socket to be writable, which it nearly always is: three more system calls.
    """
    try:
        sent = send_now(wire)
    except BlockingIOError:
        sent = 0
    except OSError:
        return False  # Twisted notices on its next read
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
        # With TLS inside Daphne, or with negotiated compression, only the protocol can write.
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
    """A socket under any other ASGI server, whose `send` may wait for the client."""

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
    """Wait until everything written has been sent to the client; return False on timeout."""
    for _ in range(int(MAX_READING_SECONDS / READING_PAUSE_SECONDS)):
        if not line.unread:
            return True
        await asyncio.sleep(READING_PAUSE_SECONDS)
    return False


def line_for(send: Any) -> Line:
    """Return the line for a socket, given the server's own `send`."""
    # Daphne's own `send` is a method of its server with the connection bound to it.
    if isinstance(send, functools.partial) and send.args and isinstance(send.args[0], WebSocketProtocol):
        return DaphneLine(send.args[0])
    return AsgiLine(send)


def with_lines(application: Application) -> Application:
    """
    Put each socket's line into its scope, and for HTTP the server's own `send` (response_lines.py).

    Must be the outermost application, since middleware replaces `send`.
    """

    # Not `async def`: that coroutine would live as long as the socket.
    def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] == "websocket":
            scope["line"] = line_for(send)
        else:
            scope["send"] = send
        return application(scope, receive, send)

    return markcoroutinefunction(wrapped)

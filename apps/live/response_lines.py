"""The line to a page without scripts: a response that stays open."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from daphne.http_protocol import WebRequest

from apps.core.connections import unread_of
from apps.live.frames import Burst
from apps.live.lines import MAX_UNREAD_BYTES, is_plain, write_at_once


class Connection:
    """
    The connection of a response under Daphne, to write to it directly, past Django, Daphne and Twisted.

    Going through them takes a task switch and four system calls per message.
    """

    __slots__ = ("is_chunked", "send_now", "transport")

    def __init__(self, request: WebRequest) -> None:
        self.transport = request.channel.transport
        self.send_now = self.transport.getHandle().send
        # False for HTTP/1.0, which many proxies use.
        self.is_chunked = bool(request.chunked)

    @property
    def unread(self) -> int:
        return unread_of(self.transport)

    def write(self, data: bytes) -> bool:
        """Send a part of the body; return False if the connection is closed."""
        if not self.transport.connected:
            return False
        # RFC 9112, 7.1.
        wire = b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data
        if self.unread:
            self.transport.write(wire)
            return True
        return write_at_once(self.transport, self.send_now, wire)


def connection_of(send: Any) -> Connection | None:
    """
    Return the connection of a started response, given the server's own `send`; None if it can't be written to.

    It can't under any other server, with TLS inside Daphne, or if the body is encoded in transit.
    """
    request = send.args[0] if isinstance(send, functools.partial) and send.args else None
    if not isinstance(request, WebRequest) or request.channel is None or not request.startedWriting:
        return None
    if not is_plain(request.channel.transport) or request.responseHeaders.hasHeader(b"content-encoding"):
        return None
    return Connection(request)


class StreamLine:
    """
    Writes the hub's frames to the connection at once; `show` turns each into a part of the page.

    Without a connection they are queued until the response reads them. After `max_characters` the page is full: we
    can't tell how large a page a browser can hold.
    """

    def __init__(self, show: Callable[[Burst], str], connection: Connection | None, max_characters: int) -> None:
        self.show = show
        self.connection = connection
        self.left = max_characters
        self.waiting: list[str] = []
        self.waiting_size = 0
        self.code: int | None = None
        self.something = asyncio.Event()

    @property
    def unread(self) -> int:
        return self.connection.unread if self.connection else self.waiting_size

    def write(self, burst: Burst) -> bool:
        if self.code is not None:
            return False
        text = self.show(burst)
        if self.unread + len(text) > MAX_UNREAD_BYTES:
            self.close(1000)
            return False
        if not text:
            return True
        self.left -= len(text)
        if self.left <= 0 or not self.connection:
            self.something.set()
        if self.connection:
            return self.connection.write(text.encode())
        self.waiting.append(text)
        self.waiting_size += len(text)
        return True

    def close(self, code: int) -> None:
        self.code = code
        self.something.set()

    async def read(self, patience: float) -> str | None:
        """Return what is queued, waiting up to `patience` seconds; None once the line is closed and all was read."""
        if not self.waiting and self.code is None and self.left > 0:
            self.something.clear()
            try:
                async with asyncio.timeout(patience):
                    await self.something.wait()
            except TimeoutError:
                return ""
        if not self.waiting and self.code is not None:
            return None
        text = "".join(self.waiting)
        self.waiting.clear()
        self.waiting_size = 0
        return text

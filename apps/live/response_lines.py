"""A line to a page without scripts: one response that does not end."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from daphne.http_protocol import WebRequest

from apps.core.connections import unread_of
from apps.live.lines import MAX_UNREAD_BYTES, Burst, is_plain, write_at_once


class Connection:
    """
    That of a response under Daphne, for what is written past Django, Daphne and Twisted.

    Their way takes a turn of a task and four system calls for each message.
    """

    __slots__ = ("is_chunked", "send_now", "transport")

    def __init__(self, request: WebRequest) -> None:
        self.transport = request.channel.transport
        self.send_now = self.transport.getHandle().send
        # Not for HTTP/1.0, which many proxies speak.
        self.is_chunked = bool(request.chunked)

    @property
    def unread(self) -> int:
        return unread_of(self.transport)

    def write(self, data: bytes) -> bool:
        """Send a part of the body; False where the connection is gone."""
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
    The connection of a response whose beginning was sent, from the server's own `send`; None where it cannot be used.

    It cannot under any other server, through TLS inside Daphne, and where the body is encoded on its way.
    """
    request = send.args[0] if isinstance(send, functools.partial) and send.args else None
    if not isinstance(request, WebRequest) or request.channel is None or not request.startedWriting:
        return None
    if not is_plain(request.channel.transport) or request.responseHeaders.hasHeader(b"content-encoding"):
        return None
    return Connection(request)


class StreamLine:
    """
    What the hub writes goes to the connection at once, as `show` turns it into a part of the page.

    Without a connection it waits here until the response takes it. After `max_characters` the page is full: nobody
    knows how much of a page a browser can hold.
    """

    def __init__(self, show: Callable[[str], str], connection: Connection | None, max_characters: int) -> None:
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
        text = "".join(map(self.show, burst.texts))
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
        """What has come, perhaps after a wait of so many seconds; None when the line is closed and all was read."""
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

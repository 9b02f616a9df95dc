"""A small TCP proxy that breaks connections on purpose."""

import asyncio
import contextlib


class Proxy:
    """Forwards to a loopback port until told otherwise."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.writers: set[asyncio.StreamWriter] = set()
        # Swallow data and keep connections open: all of it (silent), or only the server's answers (deaf).
        self.is_silent = False
        self.is_deaf = False
        # Connections that lost data stay silent forever, as after a change of networks.
        self.silenced: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Listen; returns the port."""
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        both = {writer, onward_writer}
        self.writers |= both
        try:
            ways = [
                self.pass_on(reader, onward_writer, both),
                self.pass_on(onward_reader, writer, both, is_answer=True),
            ]
            _, pending = await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
            for way in pending:
                way.cancel()
        finally:
            self.writers -= both
            self.silenced -= both
            for one in both:
                one.transport.abort()

    async def pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: set[asyncio.StreamWriter],
        *,
        is_answer: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.is_silent:
                    self.silenced |= pair
                if writer in self.silenced or (is_answer and self.is_deaf):
                    continue
                writer.write(data)
                await writer.drain()

    def cut(self) -> None:
        """Abort every connection at once."""
        for writer in list(self.writers):
            writer.transport.abort()

    async def cut_before_the_answer(self, wait: float) -> None:
        """Let posts through but no answers, then abort."""
        self.is_deaf = True
        await asyncio.sleep(wait)
        self.cut()
        self.is_deaf = False

    async def stop(self) -> None:
        self.server.close()
        self.cut()

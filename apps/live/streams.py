"""A line to a page without scripts: one response that does not end."""

import asyncio
from collections import deque

from apps.live.lines import MOST_UNREAD, Burst


class StreamLine:
    """What the hub writes waits here until the response takes it."""

    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.unread = 0
        self.code: int | None = None
        self.something = asyncio.Event()

    def write(self, burst: Burst) -> bool:
        size = sum(map(len, burst.texts))
        if self.code is not None or self.unread + size > MOST_UNREAD:
            self.close(1000)
            return False
        self.waiting.extend(burst.texts)
        self.unread += size
        self.something.set()
        return True

    def close(self, code: int) -> None:
        self.code = code
        self.something.set()

    async def read(self, patience: float) -> str | None:
        """What has come, perhaps after a wait of so many seconds; None when the line is closed and all was read."""
        if not self.waiting and self.code is None:
            self.something.clear()
            try:
                async with asyncio.timeout(patience):
                    await self.something.wait()
            except TimeoutError:
                return ""
        if not self.waiting:
            return None
        text = "".join(self.waiting)
        self.waiting.clear()
        self.unread = 0
        return text

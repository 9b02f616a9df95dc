"""Per-user rate limits, counted in this process; the numbers are in apps/core/limits.py."""

import asyncio
from itertools import islice

from apps.core import limits
from apps.core.buckets import Bucket


class Allowance:
    """What one user may still send, and how many sockets they have open, over all their pages in this process."""

    def __init__(self) -> None:
        self.posts = Bucket(rate=limits.POSTS_PER_SECOND, capacity=limits.MAX_POSTS_AT_ONCE)
        self.text = Bucket(rate=limits.TEXT_BYTES_PER_SECOND, capacity=limits.MAX_TEXT_BYTES_AT_ONCE)
        self.marks = Bucket(rate=limits.MARKS_PER_SECOND, capacity=limits.MAX_MARKS_AT_ONCE)
        self.sockets = 0
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def take(self, text: str = "") -> float | None:
        """
        Take the cost of one post, edit or deletion; return the seconds to wait before it, usually 0.

        Return None and take nothing if the wait would exceed MAX_WAIT_SECONDS.
        """
        size = len(text.encode(errors="replace"))
        wait = max(self.posts.take(), self.text.take(size))
        if wait > limits.MAX_WAIT_SECONDS:
            self.posts.give_back()
            self.text.give_back(size)
            return None
        return wait

    async def admits(self, text: str = "") -> bool:
        """Return True, possibly after a delay; False if the user is sending far too fast."""
        wait = self.take(text)
        if wait:
            await asyncio.sleep(wait)
        return wait is not None

    def turn(self) -> asyncio.Lock:
        """Return the lock that limits a user to one job in the child processes at a time."""
        loop = asyncio.get_running_loop()
        # A lock belongs to one event loop, and in tests each request has its own loop.
        if self._turn is None or self._turn[0] is not loop:
            self._turn = loop, asyncio.Lock()
        return self._turn[1]


# Least recently used first.
_allowances: dict[int | str, Allowance] = {}


def allowance_of(whose: int | str) -> Allowance:
    """Return the allowance of a user, by id, or that shared by all anonymous visitors from an address."""
    allowance = _allowances.pop(whose, None) or Allowance()
    _allowances[whose] = allowance
    if len(_allowances) > limits.MAX_ALLOWANCES:
        # Check only a few of the oldest, never all; those with open pages move to the end.
        for oldest_id in list(islice(_allowances, 3)):
            oldest = _allowances.pop(oldest_id)
            if oldest.sockets or oldest_id == whose:
                _allowances[oldest_id] = oldest
    return allowance

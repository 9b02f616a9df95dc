"""How much one person may send: the counts of apps/core/limits.py, kept in this process."""

import asyncio
from itertools import islice

from apps.core import limits
from apps.core.buckets import Bucket


class Allowance:
    """One person's, for all their pages in this process: what they may send, and a count of sockets."""

    def __init__(self) -> None:
        self.posts = Bucket(rate=limits.POSTS_PER_SECOND, capacity=limits.MAX_POSTS_AT_ONCE)
        self.text = Bucket(rate=limits.TEXT_BYTES_PER_SECOND, capacity=limits.MAX_TEXT_BYTES_AT_ONCE)
        self.marks = Bucket(rate=limits.MARKS_PER_SECOND, capacity=limits.MAX_MARKS_AT_ONCE)
        self.sockets = 0
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def take(self, text: str = "") -> float | None:
        """
        Take what one post, edit or deletion costs; gives the seconds to wait before it is done, mostly 0.

        None, and nothing is taken, where that would be longer than anybody is kept waiting.
        """
        size = len(text.encode(errors="replace"))
        wait = max(self.posts.take(), self.text.take(size))
        if wait > limits.MAX_WAIT_SECONDS:
            self.posts.give_back()
            self.text.give_back(size)
            return None
        return wait

    async def admits(self, text: str = "") -> bool:
        """True, perhaps after a pause, unless the person has been sending much faster than anybody writes."""
        wait = self.take(text)
        if wait:
            await asyncio.sleep(wait)
        return wait is not None

    def turn(self) -> asyncio.Lock:
        """Held while something of the person's is worked on in a child process, so that nobody takes all of them."""
        loop = asyncio.get_running_loop()
        # A lock serves one event loop, and in tests each request has its own.
        if self._turn is None or self._turn[0] is not loop:
            self._turn = loop, asyncio.Lock()
        return self._turn[1]


# In the order in which they were last asked for.
_allowances: dict[int | str, Allowance] = {}


def allowance_of(whose: int | str) -> Allowance:
    """The allowance of a person, by number, or of all who are not signed in at an address."""
    allowance = _allowances.pop(whose, None) or Allowance()
    _allowances[whose] = allowance
    if len(_allowances) > limits.MAX_ALLOWANCES:
        # A few of the oldest, those with open pages to the end of the line: that leaves too few to look at them all.
        for oldest_id in list(islice(_allowances, 3)):
            oldest = _allowances.pop(oldest_id)
            if oldest.sockets or oldest_id == whose:
                _allowances[oldest_id] = oldest
    return allowance

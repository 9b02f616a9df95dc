"""How much one person may send: generous to anybody who types, and an end to programs that run wild."""

import asyncio
import time
import weakref

# Posts a second in the long run, and at once. Who sends more is slowed to that, over all their pages.
RATE = 100.0
MOST_AT_ONCE = 500.0
# What one page may send before it has been answered; a page that sends more than this is closed.
MOST_UNANSWERED = 200
MOST_UNANSWERED_CHARACTERS = 1024 * 1024
# Open sockets of one person in one process.
MOST_SOCKETS = 1000


class Allowance:
    """One person's, for all their pages in this process: a token bucket, and a count of sockets."""

    def __init__(self) -> None:
        self.left = MOST_AT_ONCE
        self.counted_at = time.monotonic()
        self.sockets = 0

    async def take_turn(self) -> None:
        """Return when the person may post; at once, unless they have been posting faster than anybody writes."""
        now = time.monotonic()
        self.left = min(MOST_AT_ONCE, self.left + (now - self.counted_at) * RATE) - 1
        self.counted_at = now
        if self.left < 0:
            await asyncio.sleep(-self.left / RATE)


# Kept as long as somebody's page refers to it.
_allowances: "weakref.WeakValueDictionary[int, Allowance]" = weakref.WeakValueDictionary()


def allowance_of(user_id: int | None) -> Allowance:
    """The allowance of a person; people who are not signed in post nothing, and have one each."""
    if user_id is None:
        return Allowance()
    allowance = _allowances.get(user_id)
    if allowance is None:
        allowance = _allowances[user_id] = Allowance()
    return allowance

"""How much one person may send: generous to anybody who types, and an end to programs that run wild."""

import time
from itertools import islice

# Posts a second in the long run, and at once. Who sends more is slowed to that, over all their pages.
RATE = 100.0
MOST_AT_ONCE = 500.0
# What one page may send before it has been answered; a page that sends more than this is closed.
MOST_UNANSWERED = 200
MOST_UNANSWERED_CHARACTERS = 1024 * 1024
# How long a form's answer may be held back, in seconds; who would have to wait longer is refused.
LONGEST_WAIT = 2.0
# People whose allowance is kept; of more, those with no page open who were away for longest are forgotten.
MOST_REMEMBERED = 10_000
# Open sockets of one person in one process.
MOST_SOCKETS = 1000


class Allowance:
    """One person's, for all their pages in this process: a token bucket, and a count of sockets."""

    def __init__(self) -> None:
        self.left = MOST_AT_ONCE
        self.counted_at = time.monotonic()
        self.sockets = 0

    def take(self) -> float:
        """Take one post's worth; gives the seconds to wait before posting, mostly 0."""
        now = time.monotonic()
        self.left = min(MOST_AT_ONCE, self.left + (now - self.counted_at) * RATE) - 1
        self.counted_at = now
        return max(0.0, -self.left / RATE)

    def give_back(self) -> None:
        """Undo `take`: the post was refused."""
        self.left += 1


# In the order in which they were last asked for.
_allowances: dict[int, Allowance] = {}


def allowance_of(user_id: int | None) -> Allowance:
    """The allowance of a person; people who are not signed in post nothing, and have one each."""
    if user_id is None:
        return Allowance()
    allowance = _allowances.pop(user_id, None) or Allowance()
    _allowances[user_id] = allowance
    if len(_allowances) > MOST_REMEMBERED:
        # A few of the oldest, those with open pages to the end of the line: that leaves too few to look at them all.
        for oldest_id in list(islice(_allowances, 3)):
            oldest = _allowances.pop(oldest_id)
            if oldest.sockets or oldest_id == user_id:
                _allowances[oldest_id] = oldest
    return allowance

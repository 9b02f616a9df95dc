"""How much may come in the long run, and how much at once."""

import time


class Bucket:
    """A token bucket: it holds `capacity`, and fills again by `rate` a second."""

    __slots__ = ("capacity", "counted_at", "left", "rate")

    def __init__(self, *, rate: float, capacity: float) -> None:
        self.rate = rate
        self.capacity = self.left = capacity
        self.counted_at = time.monotonic()

    def take(self, amount: float = 1) -> float:
        """Take so much; gives the seconds to wait before using it, mostly 0."""
        now = time.monotonic()
        self.left = min(self.capacity, self.left + (now - self.counted_at) * self.rate) - amount
        self.counted_at = now
        return max(0.0, -self.left / self.rate)

    def give_back(self, amount: float = 1) -> None:
        """Undo `take`: what was asked for was refused."""
        self.left += amount

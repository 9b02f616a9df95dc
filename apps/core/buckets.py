"""Rate limits with bursts."""

import time


class Bucket:
    """A token bucket: holds `capacity` tokens and refills at `rate` per second."""

    __slots__ = ("capacity", "counted_at", "left", "rate")

    def __init__(self, *, rate: float, capacity: float) -> None:
        self.rate = rate
        self.capacity = self.left = capacity
        self.counted_at = time.monotonic()

    def take(self, amount: float = 1) -> float:
        """Take tokens; return how many seconds to wait before using them, mostly 0."""
        now = time.monotonic()
        self.left = min(self.capacity, self.left + (now - self.counted_at) * self.rate) - amount
        self.counted_at = now
        return max(0.0, -self.left / self.rate)

    def give_back(self, amount: float = 1) -> None:
        """Return tokens that were taken for an action that was refused."""
        self.left += amount

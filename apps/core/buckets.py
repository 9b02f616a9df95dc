"""How much may come in the long run, and how much at once."""

import time


class Bucket:
    """A token bucket: it holds `most`, and fills again by `rate` a second."""

    __slots__ = ("counted_at", "left", "most", "rate")

    def __init__(self, *, rate: float, most: float) -> None:
        self.rate = rate
        self.most = self.left = most
        self.counted_at = time.monotonic()

    def take(self, amount: float = 1) -> float:
        """Take so much; gives the seconds to wait before using it, mostly 0."""
        now = time.monotonic()
        self.left = min(self.most, self.left + (now - self.counted_at) * self.rate) - amount
        self.counted_at = now
        return max(0.0, -self.left / self.rate)

    def give_back(self, amount: float = 1) -> None:
        """Undo `take`: what was asked for was refused."""
        self.left += amount

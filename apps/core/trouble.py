"""Problems that the site can live with for a while: reported in the log, not too often, and most by /readyz."""

import logging
import time
from math import inf

# Minimum interval between equal log lines.
SAID_EVERY_SECONDS = 60.0

_known: "list[Trouble]" = []


class Seldom:
    """A rate-limited logger: one line a minute at most."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.said_at = -inf
        self.unsaid = 0

    def warning(self, text: str, *values: object) -> bool:
        """Log a warning, unless one was logged a moment ago; return whether it was."""
        now = time.monotonic()
        if now - self.said_at < SAID_EVERY_SECONDS:
            self.unsaid += 1
            return False
        if self.unsaid:
            text, values = f"{text} (and %d times more before)", (*values, self.unsaid)
        self.said_at, self.unsaid = now, 0
        self.logger.warning(text, *values)
        return True


class Trouble:
    """
    Something that doesn't work at present; `what` names it and its consequence.

    /readyz reports it if users could notice.
    """

    def __init__(self, what: str, logger: logging.Logger, *, is_noticed: bool = True) -> None:
        self.what = what
        self.is_on = False
        self.is_said = False
        self.line = Seldom(logger)
        if is_noticed:
            _known.append(self)

    def note(self, error: object) -> None:
        """Report that it doesn't work, and why."""
        self.is_on = True
        reason = error if isinstance(error, str) else f"{type(error).__name__}: {str(error)!r}"
        self.is_said |= self.line.warning("%s: %s", self.what, reason)

    def over(self) -> None:
        """Report that it works again."""
        self.is_on = False
        if self.is_said:
            self.is_said = False
            self.line.logger.warning("No longer so: %s", self.what)


def all_troubles() -> list[str]:
    """Return what doesn't work at present. Without reasons, which are in the log: /readyz is public."""
    return [trouble.what for trouble in _known if trouble.is_on]

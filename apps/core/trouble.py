"""What the site gets on without for a while: said in the log, not too often, and by /readyz."""

import logging
import time
from math import inf

# Between two lines of the log that say the same.
SAID_EVERY_SECONDS = 60.0

_known: "list[Trouble]" = []


class Seldom:
    """A line of the log that comes once a minute at most, however often there is cause."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.said_at = -inf
        self.unsaid = 0

    def warning(self, text: str, *values: object) -> bool:
        """Whether it was said."""
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
    """Something that does not work just now; `what` names it and what comes of that."""

    def __init__(self, what: str, logger: logging.Logger) -> None:
        self.what = what
        self.is_on = False
        self.is_said = False
        self.line = Seldom(logger)
        _known.append(self)

    def note(self, error: object) -> None:
        """It does not work, for this reason."""
        self.is_on = True
        reason = error if isinstance(error, str) else f"{type(error).__name__}: {str(error)!r}"
        self.is_said |= self.line.warning("%s: %s", self.what, reason)

    def over(self) -> None:
        """It works."""
        self.is_on = False
        if self.is_said:
            self.is_said = False
            self.line.logger.warning("No longer so: %s", self.what)


def all_troubles() -> list[str]:
    """What does not work just now. No reasons: the log has them, and whoever asks may be anybody."""
    return [trouble.what for trouble in _known if trouble.is_on]

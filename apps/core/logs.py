"""Filters for the log."""

import logging
import threading
import time

from apps.core import limits
from apps.core.database import NO_DATABASE, is_busy, state_of


class OneLine(logging.Filter):
    """Drops the traceback of errors that are the client's fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True


class DatabaseTrouble(logging.Filter):
    """
    Shortens database errors to one line each, and drops frequent repeats.

    An outage fails every request and open page alike, and the hundred lines of a traceback point to no code of ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        # By kind of message: when it was last logged, and how many have been dropped since.
        self._said: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = error_of(record)
        if not isinstance(error, NO_DATABASE) and not is_busy(error):
            return True
        kind = record.name, str(record.msg), state_of(error) or type(error).__name__
        now = time.monotonic()
        with self._lock:
            said_at, left_out = self._said.get(kind, (-limits.TROUBLE_PAUSE_SECONDS, 0))
            if now - said_at < limits.TROUBLE_PAUSE_SECONDS:
                self._said[kind] = said_at, left_out + 1
                return False
            self._said[kind] = now, 0
        text = f"{record.getMessage()}: {error}" if record.exc_info else record.getMessage()
        record.msg = " ".join(text.split()) + (f" ({left_out} more like this before)" if left_out else "")
        record.args = ()
        record.exc_info = record.exc_text = None
        return True


def error_of(record: logging.LogRecord) -> BaseException | None:
    """Return the error that the record is about: from its traceback or its arguments."""
    if record.exc_info:
        return record.exc_info[1]
    arguments = record.args if isinstance(record.args, tuple) else ()
    return next((one for one in arguments if isinstance(one, BaseException)), None)

"""Whether this machine serves the site just now, so that nobody takes its data from under it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from apps.core.backups import copies

# Held by every process that serves. The kernel lets go of it however the process ends.
LOCK = settings.DATA_DIR / "running.lock"
# There from the moment when a restore begins to change the site until all of it is done; says so.
UNFINISHED = settings.DATA_DIR / "restoring.txt"


class BusyError(Exception):
    """Somebody else has the lock."""


def serve() -> None:
    """
    Hold the lock, with the other processes that serve, until this one ends.

    Stops the start while the site is being restored, and where that broke off.
    """
    try:
        # Open for as long as the process lives.
        taken(fcntl.LOCK_SH)
    except BusyError:
        raise SystemExit("The site is being restored from a backup. Start it when that is done.") from None
    except OSError:
        pass  # The folder is not for writing, and so nobody restores into it.
    if UNFINISHED.exists():
        raise SystemExit(UNFINISHED.read_text().strip())


@contextmanager
def alone() -> Iterator[None]:
    """Keep the site from being served. Raises BusyError while it is."""
    descriptor = taken(fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def taken(how: int) -> int:
    """The lock's descriptor, with the lock where the file system has such things. Raises BusyError."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    copies.give_to_owner(LOCK)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError from None
    except OSError:
        return descriptor
    return descriptor

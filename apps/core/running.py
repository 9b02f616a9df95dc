"""Locks that keep serving and restoring apart on this machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from apps.core.backups import copies

# Held by every serving process. The kernel releases it however the process ends.
LOCK = settings.DATA_DIR / "running.lock"
# Exists from when a restore starts changing the site until it is complete; its text says so.
UNFINISHED = settings.DATA_DIR / "restoring.txt"


class BusyError(Exception):
    """Another process has the lock."""


def serve() -> None:
    """
    Take the shared lock until this process ends.

    Refuses to start during a restore, or after one that broke off.
    """
    try:
        # Stays open until the process ends.
        taken(fcntl.LOCK_SH)
    except BusyError:
        raise SystemExit("The site is being restored from a backup. Start it when that is done.") from None
    except OSError:
        pass  # The folder is read-only, so no restore can run either.
    if UNFINISHED.exists():
        raise SystemExit(UNFINISHED.read_text().strip())


@contextmanager
def alone() -> Iterator[None]:
    """Keep the site from being served. Raises BusyError if it is."""
    descriptor = taken(fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def taken(how: int) -> int:
    """Return the lock file's descriptor, locked if the file system supports it. Raises BusyError."""
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

"""Detects whether another process on this machine is still alive, however it ended."""

import fcntl
import os
from contextlib import suppress
from uuid import UUID

from django.conf import settings

from apps.core.backups import copies

# One locked file per process. The kernel releases the lock when the process ends.
FOLDER = settings.DATA_DIR / "processes"


def hold(process: UUID, group: str = "") -> None:
    """Hold this process's lock until it ends. If files can't be locked, others go by its heartbeat."""
    with suppress(OSError):
        for folder in dict.fromkeys((FOLDER, FOLDER / group)):
            folder.mkdir(mode=0o700, exist_ok=True)
            copies.give_to_owner(folder)
        file = FOLDER / group / str(process)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        copies.give_to_owner(file)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.unlink()


def sweep(group: str = "") -> None:
    """Delete the files of processes that have ended."""
    with suppress(OSError):
        for file in (FOLDER / group).iterdir():
            is_gone(file.name, group)


def is_gone(process: UUID | str, group: str = "") -> bool:
    """Return whether the process has certainly ended, deleting its file. Other machines' processes are unknown here."""
    file = FOLDER / group / str(process)
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True

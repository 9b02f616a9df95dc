"""Waking a thread of this process that waits for jobs, so that what was enqueued here begins at once."""

import threading
from collections import defaultdict

_bells: dict[str, threading.Event] = defaultdict(threading.Event)


def ring(queue: str) -> None:
    """There may be something in this queue."""
    _bells[queue].set()


def ring_all() -> None:
    """Wake everybody."""
    for bell in list(_bells.values()):
        bell.set()


def listen(queue: str) -> threading.Event:
    """The bell of a queue."""
    return _bells[queue]

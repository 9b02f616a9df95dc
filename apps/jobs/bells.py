"""Wake this process's job threads, so that jobs enqueued here start immediately."""

import threading
from collections import defaultdict

_bells: dict[str, threading.Event] = defaultdict(threading.Event)


def ring(queue: str) -> None:
    """Wake the threads of this queue: there may be a job."""
    _bells[queue].set()


def ring_all() -> None:
    """Wake the threads of all queues."""
    for bell in list(_bells.values()):
        bell.set()


def listen(queue: str) -> threading.Event:
    """Return the event that wakes a queue's threads."""
    return _bells[queue]

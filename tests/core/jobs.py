"""Jobs that tests of apps/core/bounded.py run in child processes."""

import os
import re
import time
from collections.abc import Generator

from apps.core.bounded import Refused


def echo(data: bytes) -> tuple[bytes, ...]:
    return (data,)


def match_forever(data: bytes) -> tuple[bytes, ...]:
    """A match that no thread, timer or signal handler in Python can end."""
    re.match(r"(a|a)*b", "a" * 60)
    return (data,)


def better(data: bytes) -> Generator[tuple[bytes, ...], None, tuple[bytes, ...]]:
    """A good result, then a better one that never arrives."""
    yield (b"good",)
    match_forever(data)
    return (b"better",)


def memory(data: bytes) -> tuple[bytes, ...]:
    return (bytes(1 << 30),)


def sleep(data: bytes) -> tuple[bytes, ...]:
    """Takes wall time but no processor time."""
    time.sleep(60)
    return (data,)


def nap(data: bytes) -> tuple[bytes, ...]:
    """Sleep for half a second."""
    time.sleep(0.5)
    return (data,)


def fail(data: bytes) -> tuple[bytes, ...]:
    return (str(1 // len(data)).encode(),)


def refuse(data: bytes) -> tuple[bytes, ...]:
    raise Refused("no")


def huge(data: bytes) -> tuple[bytes, ...]:
    return (bytes(2 << 20),)


def die(data: bytes) -> tuple[bytes, ...]:
    os._exit(1)


def process(data: bytes) -> tuple[bytes, ...]:
    """The id of the process that does the job."""
    return (str(os.getpid()).encode(),)


def environment(data: bytes) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in os.environ)

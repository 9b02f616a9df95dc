"""Duration, seed, and the report of a failing input."""

import os
import time
from collections.abc import Callable, Iterator
from random import Random

from apps.core.bounded import Exceeded, Limits, Pool

# For all tests of this folder together. `make fuzz` sets both.
IN_FULL = "FUZZ_SECONDS" in os.environ
SECONDS = float(os.environ.get("FUZZ_SECONDS", "12"))
# In `make test` a test tries the same inputs each time, even on a fast machine no more than these.
MAX_TRIED = 10**9 if IN_FULL else 100
SEED = os.environ.get("FUZZ_SEED", "1")
# For shortening a failing input.
SHRINKING_SECONDS = 10.0
SHOWN = 400  # characters of a failing input

pool = Pool(
    name="fuzz",
    modules=["tests.fuzz.jobs"],
    children=1,
    # Far beyond what is allowed, so that faults are measured, but not endless.
    limits=Limits(
        processor_seconds=2.0, wall_seconds=30.0, memory_bytes=256 << 20, output_bytes=1 << 20, queue_seconds=60.0
    ),
)


def for_share(share: float, name: str) -> Iterator[Random]:
    """Yield a random source repeatedly, for this share of the time; always the same for a seed and a name."""
    until = time.monotonic() + SECONDS * share
    random = Random(f"{SEED}:{name}")
    tried = 0
    while (time.monotonic() < until and tried < MAX_TRIED) or not tried:
        yield random
        tried += 1
    print(f"{name}: {tried} tried")


def seconds_of(job: str, *arguments: str) -> float:
    """The processor time of a job as measured by the child; infinite if it was killed."""
    try:
        return float(pool.run(f"tests.fuzz.jobs:{job}", *(argument.encode() for argument in arguments))[0])
    except Exceeded:
        return float("inf")


def shrunk(text: str, fails: Callable[[str], bool]) -> str:
    """A shorter text that fails too, if one is found quickly."""
    until = time.monotonic() + SHRINKING_SECONDS
    size = len(text) // 2
    while size and time.monotonic() < until:
        for start in range(0, len(text), size):
            shorter = text[:start] + text[start + size :]
            if time.monotonic() < until and fails(shorter):
                text = shorter
                break
        else:
            size //= 2
    return text


def said(text: str | bytes, why: str) -> str:
    """A failing test's message: why, how to repeat it, and the shortened input."""
    short = repr(text) if len(text) <= SHOWN else f"{text[: SHOWN // 2]!r} ... {text[-SHOWN // 2 :]!r} ({len(text)})"
    return f"{why}\nRepeat it: make fuzz FUZZ_SEED={SEED}\n{short}"

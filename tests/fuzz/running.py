"""For how long, from which seed, and what is said of an input that fails."""

import os
import time
from collections.abc import Callable, Iterator
from random import Random

from apps.core.bounded import Exceeded, Limits, Pool

# Of all tests of this folder together. `make fuzz` sets both.
IN_FULL = "FUZZ_SECONDS" in os.environ
SECONDS = float(os.environ.get("FUZZ_SECONDS", "12"))
# In `make test` a test tries the same things each time, on a fast machine no more of them.
MAX_TRIED = 10**9 if IN_FULL else 100
SEED = os.environ.get("FUZZ_SEED", "1")
# While a failing input is made shorter.
SHRINKING_SECONDS = 10.0
SHOWN = 400  # characters of a failing input

pool = Pool(
    name="fuzz",
    modules=["tests.fuzz.jobs"],
    children=1,
    # Far beyond what is allowed, so that a fault is measured, and far from for ever.
    limits=Limits(
        processor_seconds=2.0, wall_seconds=30.0, memory_bytes=256 << 20, output_bytes=1 << 20, queue_seconds=60.0
    ),
)


def for_share(share: float, name: str) -> Iterator[Random]:
    """A source of chance again and again, for this share of the time; always the same ones for a seed and a name."""
    until = time.monotonic() + SECONDS * share
    random = Random(f"{SEED}:{name}")
    tried = 0
    while (time.monotonic() < until and tried < MAX_TRIED) or not tried:
        yield random
        tried += 1
    print(f"{name}: {tried} tried")


def seconds_of(job: str, *arguments: str) -> float:
    """The processor time of a job, as the child measures it; infinite if it was ended."""
    try:
        return float(pool.run(f"tests.fuzz.jobs:{job}", *(argument.encode() for argument in arguments))[0])
    except Exceeded:
        return float("inf")


def shrunk(text: str, fails: Callable[[str], bool]) -> str:
    """A shorter text that fails too, as far as that is found quickly."""
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
    """What a failing test says: why, how it is repeated, and the input, short."""
    short = repr(text) if len(text) <= SHOWN else f"{text[: SHOWN // 2]!r} ... {text[-SHOWN // 2 :]!r} ({len(text)})"
    return f"{why}\nRepeat it: make fuzz FUZZ_SEED={SEED}\n{short}"

"""
Which languages may be highlighted: `python -m tests.fuzz.languages SECONDS [LANGUAGE ...]` prints their worst cases.

Processor milliseconds for a block of the allowed size, and for one with twice as many characters and lines.
"""

import sys
import time
from random import Random

from pygments.lexers import get_lexer_by_name

from apps.chat.languages import LANGUAGES
from apps.core import limits
from tests.fuzz.running import SEED, seconds_of
from tests.fuzz.texts import atoms_of, code


def worst(language: str, seconds: float, characters: int, line: int) -> tuple[float, str]:
    """The worst time of a block of at most this many characters, found within some seconds, and the block."""
    atom = atoms_of(get_lexer_by_name(language))
    random = Random(f"{SEED}:{language}")
    found = (0.0, "")
    until = time.monotonic() + seconds
    while time.monotonic() < until and found[0] < 1:
        text = code(random, atom, characters, line)
        took = seconds_of("measured_lexer", language, text)
        if took > found[0]:
            found = max(found, (min(took, seconds_of("measured_lexer", language, text)), text))
    return found


def main() -> None:
    """Print the table."""
    seconds, *languages = sys.argv[1:]
    characters, line = limits.MAX_HIGHLIGHTED_CHARACTERS, limits.MAX_HIGHLIGHTED_LINE_CHARACTERS
    print(f"{'':14}{characters}/{line:<8}{characters * 2}/{line * 2}")
    for language in languages or LANGUAGES:
        full, text = worst(language, float(seconds), characters, line)
        twice, _ = worst(language, float(seconds), characters * 2, line * 2)
        print(f"{language:14}{full * 1000:<13.0f}{twice * 1000:<10.0f}{text[:60]!r}", flush=True)


if __name__ == "__main__":
    main()

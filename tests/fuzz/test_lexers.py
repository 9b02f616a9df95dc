"""For every listed language, no block that is highlighted takes its lexer longer than allowed."""

import pytest

from apps.chat.languages import LANGUAGES, LEXERS
from apps.core import limits
from tests.fuzz.running import IN_FULL, for_share, pool, said, seconds_of, shrunk
from tests.fuzz.texts import atoms_of, code

# Half of what a whole message may take, so that there is time for the rest of it. In `make test`, which also runs on
# slower machines, all of it.
MAX_SECONDS = limits.TEXT.processor_seconds / (2 if IN_FULL else 1)

# Languages that may contain others.
INSIDE = {
    "html": ("javascript", "css"),
    **dict.fromkeys(["docker", "make"], ("bash", "json")),
}


def takes_too_long(language: str, text: str) -> bool:
    """Whether it takes too long every time: a shared machine may be slow now and then."""
    return all(seconds_of("measured_lexer", language, text) > MAX_SECONDS for _ in range(3))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_lexer_exceeds_its_time_limit(language: str) -> None:
    atom = atoms_of(*{LEXERS[name] for name in {language, *INSIDE.get(language, ())}})
    worst = 0.0
    for random in for_share(0.5 / len(LANGUAGES), language):
        text = code(random, atom)
        seconds = seconds_of("measured_lexer", language, text)
        worst = max(worst, seconds)
        if seconds > MAX_SECONDS and takes_too_long(language, text):
            text = shrunk(text, lambda shorter: takes_too_long(language, shorter))
            seconds = seconds_of("measured_lexer", language, text)
            pytest.fail(said(text, f"{language} takes {seconds * 1000:.0f} ms"))
    print(f"{language}: at worst {worst * 1000:.0f} ms")


def test_a_child_has_every_lexer_loaded_from_the_start() -> None:
    languages = (language.encode() for language in LANGUAGES)
    assert pool.run("tests.fuzz.jobs:imported_by_highlighting", *languages) == ()

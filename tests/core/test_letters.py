"""Letters: normal forms, case, and invisible characters."""

import subprocess
import sys
import unicodedata
from bisect import bisect_right

import pytest
from idna.uts46data import uts46_starts, uts46_statuses

from apps.core import letters
from apps.core.letters import key
from tests.letters import TABLE, cases

# Drawn under or over the digits that follow them: the only visible format characters.
SEEN_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
EVERY_LETTER = [chr(number) for number in range(sys.maxunicode + 1) if not 0xD800 <= number <= 0xDFFF]


def test_the_table_has_names_and_mentions_in_many_scripts() -> None:
    assert sum(len(TABLE[kind]) for kind in ("user_names", "display_names", "rooms", "mentions")) >= 130
    assert len({row["script"] for rows in TABLE.values() for row in rows if "script" in row}) >= 20


@pytest.mark.parametrize(("name", "expected"), cases("user_names", "name", "key"))
def test_a_name_has_one_key_however_it_is_typed(name: str, expected: str) -> None:
    if expected:
        # An editor may have changed the table's normal form.
        expected = unicodedata.normalize("NFKC", expected)
        spellings = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD"))]
        assert [key(spelling) for spelling in spellings] == [expected] * len(spellings)


@pytest.mark.parametrize("name", cases("display_names", "name"))
def test_no_key_has_invisible_characters(name: str) -> None:
    assert not letters.INVISIBLE.search(key(name))
    assert key(name) == key(letters.INVISIBLE.sub("", name))


def test_every_letters_key_is_its_own_key() -> None:
    assert [letter for letter in EVERY_LETTER if key(key(letter)) != key(letter)] == []


def test_a_key_ignores_case_and_normal_form_of_every_letter() -> None:
    def spellings(letter: str) -> set[str]:
        forms = (unicodedata.normalize(form, letter) for form in ("NFC", "NFD", "NFKC", "NFKD"))
        return {letter, letter.casefold(), letter.lower(), *forms}

    assert [letter for letter in EVERY_LETTER if len(set(map(key, spellings(letter)))) > 1] == []


def test_control_and_format_characters_are_invisible_space_or_known_to_be_seen() -> None:
    hidden = [letter for letter in EVERY_LETTER if unicodedata.category(letter) in {"Cc", "Cf"}]
    seen = [letter for letter in hidden if not letters.INVISIBLE.match(letter) and not letter.isspace()]
    assert {ord(letter) for letter in seen} == SEEN_FORMATS


def test_no_visible_letter_counts_as_invisible() -> None:
    invisible = {letter for letter in EVERY_LETTER if letters.INVISIBLE.match(letter)}
    of_letters = {ord(letter) for letter in invisible if unicodedata.category(letter)[0] in "LN"}
    assert of_letters == {0x115F, 0x1160, 0x3164, 0xFFA0}  # the fillers of Hangul


def test_every_letter_that_idna_ignores_is_invisible() -> None:
    """Checked against another installed library, which has a newer Unicode than Python."""
    ignored = [
        letter for letter in EVERY_LETTER if chr(uts46_statuses[bisect_right(uts46_starts, ord(letter)) - 1]) == "I"
    ]
    assert len(ignored) > 200
    assert [letter for letter in ignored if not letters.INVISIBLE.match(letter)] == []


@pytest.mark.parametrize(
    ("text", "is_blank"), [("", True), (" \t\n", True), ("\u3164", True), ("a", False), ("́", False)]
)
def test_a_text_is_blank_if_nothing_in_it_is_visible(text: str, is_blank: bool) -> None:
    assert letters.is_blank(text) is is_blank


def test_letters_can_be_imported_without_django() -> None:
    """The child processes that render texts don't load Django."""
    code = "import sys; import apps.core.letters; assert 'django' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

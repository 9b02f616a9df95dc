"""Which commit messages the check accepts."""

import pytest

from tests.commits import mistakes_in


def test_a_message_with_a_short_subject_and_a_reason_is_accepted() -> None:
    assert mistakes_in("Rooms can be archived\n\nA room nobody uses stands in the way.\n") == []


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("A" * 73 + "\n\nWhy.\n", "73 characters"),
        ("Rooms can be archived.\n\nWhy.\n", "full stop"),
        ("Rooms can be archived\n", "no body"),
        ("Rooms can be archived\n\n", "no body"),
        ("Rooms can be\narchived\n", "no empty line"),
    ],
)
def test_any_other_message_is_refused_with_a_reason(message: str, word: str) -> None:
    [mistake] = mistakes_in(message)
    assert word in mistake

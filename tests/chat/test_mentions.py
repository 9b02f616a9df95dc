"""Who is named in a message."""

import pytest

from apps.chat.mentions import names, text_of


@pytest.mark.parametrize(
    ("html", "is_named"),
    [
        ("<p>@ada</p>", True),
        ("<p>Ask (@Ada), please.</p>", True),
        ("<p>Well, @ada: no!</p>", True),
        ("<p>Hello <strong>@ada</strong></p>\n<p>again</p>", True),
        ("<p>@adamant</p>", False),
        ("<p>post@ada</p>", False),
        ("<p>@ada.lovelace</p>", False),
        ("<p>ada</p>", False),
        ('<p><a href="https://example.org/@ada">there</a></p>', False),
    ],
)
def test_a_name_stands_as_a_word_of_its_own(html: str, is_named: bool) -> None:
    assert names(html, "ada") is is_named


def test_names_of_any_alphabet_are_found() -> None:
    assert names("<p>Привет, @ОЛЬГА!</p>", "Ольга")


def test_text_is_what_a_reader_sees() -> None:
    assert text_of("<p>1 &lt; 2\n<em>or</em></p>\n<p>not</p>") == "1 < 2 or not"

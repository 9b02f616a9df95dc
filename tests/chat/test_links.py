"""Which part of a text is a link, and where it leads, in many scripts; links.toml lists the expected results."""

import re
import tomllib
from html import escape, unescape
from pathlib import Path

import pytest

from apps.chat.rendering import to_html_now as to_html

TABLE = tomllib.loads((Path(__file__).parent / "links.toml").read_text())


@pytest.mark.parametrize(
    ("typed", "addresses"),
    [
        pytest.param(typed, addresses, id=f"{kind}: {typed}")
        for kind in TABLE
        for typed, addresses in TABLE[kind].items()
    ],
)
def test_an_address_ends_where_readers_expect(typed: str, addresses: list[str]) -> None:
    assert [unescape(found) for found in re.findall(r' href="([^"]*)"', to_html(typed))] == addresses


WITH_MARKS = {"marks around an address", "punctuation of the Latin script", "other schemes", "mail"}


@pytest.mark.parametrize("typed", [typed for kind in TABLE if kind not in WITH_MARKS for typed in TABLE[kind]])
def test_an_address_and_the_text_around_it_are_shown_as_typed(typed: str) -> None:
    assert unescape(re.sub(r"<[^>]*>", "", to_html(typed))) == typed


@pytest.mark.parametrize(
    "typed", ["[a](tel:1 'b')", "<tel:1>", "[a](/b)", "[a](//b.co)", "[a]()", "![a](b)", "ftp://a/__b__"]
)
def test_an_invalid_link_is_shown_as_typed(typed: str) -> None:
    assert to_html(typed) == f'<p dir="auto">{escape(typed, quote=False)}</p>'


@pytest.mark.parametrize("words", ["", "\u200b", "\u3164", "*\u200b*", "`\u200b`"])
def test_a_link_without_visible_text_shows_its_target(words: str) -> None:
    shown = re.sub(r"<[^>]*>", "", to_html(f"a [{words}](https://b.co) c"))
    assert shown == f"a {words.strip('*`')}https://b.co c"


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("https://bank.example/", "https://evil.example/"),
        ("sign in at HTTPS://BANK.example now", "https://evil.example/bank.example"),
        ("https://bank.example", "https://bank.example@evil.example"),
        ("https://bank.example", "https://bank.example.evil.example"),
        ("**https://bank**.example", "https://evil.example"),
        ("`https://bank.example`", "https://evil.example"),
        ("https://日本語.jp", "https://evil.example"),
        ("https://bank.example", "mailto:ann@evil.example"),
    ],
)
def test_a_link_whose_text_is_another_address_shows_its_target(words: str, address: str) -> None:
    shown = re.sub(r"<[^>]*>", "", to_html(f"[{words}]({address})"))
    assert shown == f"{re.sub('[*`]', '', words)} ({address})"


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("https://bank.example", "https://bank.example/sign-in?a=b"),
        ("http://Bank.example:80/", "https://bank.example"),
        ("https://über.example/a", "https://xn--ber-goa.example/a/b"),
        ("bank.example", "https://bank.example.org"),
        ("here", "https://evil.example"),
    ],
)
def test_any_other_link_text_is_shown_as_it_is(words: str, address: str) -> None:
    assert re.sub(r"<[^>]*>", "", to_html(f"[{words}]({address})")) == words

"""Rules that must stand in Python and in a script, since frames cannot carry their result: both give the same."""

from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser

from apps.chat.rendering import to_html_now
from apps.chat.spoken import text_of

SPOKEN = (Path(settings.BASE_DIR) / "static/js/spoken.js").read_text().replace("export function", "return function")
TEXTS = [
    "Hello, *you*: 1 < 2 & `3 > 2`",
    "1. a\n2. b",
    "7. a\n   - b\n   - c\n     1. d\n8. e\n3. f",
    "0. a\n1. b\n\ntext\n\n1. c",
    "- a <ol>\n- <li>\n\n1) b\n2) c\n\n   more\n3) d",
    "> 3. quoted\n> 4. more\n\n5. own",
    "2026. A great year",
    "```\n1. code\n```\n\n999999999. far",
    "first\nsecond https://example.org/1.",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_is_read_out_alike_by_the_server_and_by_the_page(browser: Browser, text: str) -> None:
    html = to_html_now(text)
    page = browser.new_page()
    said = page.evaluate(
        f"(html) => {{ const body = document.createElement('div'); body.innerHTML = html;"
        f" return (() => {{ {SPOKEN} }})()(body); }}",
        html,
    )
    page.close()
    assert " ".join(said.split()) == text_of(html)

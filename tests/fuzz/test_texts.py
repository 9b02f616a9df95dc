"""Messages of every shape rendered to HTML: in time, in proportion, safe, and complete."""

import re
import time
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from apps.chat.models import MAX_CHARACTERS
from apps.chat.rendering import to_html_now
from apps.core import limits
from tests.fuzz.running import for_share, said, shrunk
from tests.fuzz.texts import LINKS, MARKDOWN, block, one_of

# Written by hand and not imported from the code, which might be wrong.
ATTRIBUTES = {
    "a": {"href", "rel", "dir"},
    "li": {"value", "dir"},
    "ol": {"start"},
    "pre": {"class", "dir"},
    "span": {"class"},
    "p": {"dir"},
    "blockquote": {"dir"},
    "code": {"dir"},
}
TAGS = {"br", "em", "strong", "s", "ul", *ATTRIBUTES}
SAFE_ADDRESS = re.compile(r"https?://|mailto:", re.IGNORECASE)
# A letter without meaning in Markdown, for counting.
LETTER = "語"


class Checked(HTMLParser):
    """Parses HTML; collects what is wrong with it, its text, and its links' addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.open: list[str] = []
        self.shown = ""
        self.feed(html)
        self.close()
        self.wrong += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.wrong.append(f"<{tag}>")
        if tag != "br":
            self.open.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES.get(tag, set()):
                self.wrong.append(f"{name} of <{tag}>")
            if name == "href" and not SAFE_ADDRESS.match((value or "").strip()):
                self.wrong.append(f"a link to {value}")
            if name == "dir" and value != ("ltr" if tag in {"a", "code", "pre"} else "auto"):
                self.wrong.append(f"the direction {value} of <{tag}>")
            if name == "href":
                self.shown += unquote(value or "")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.shown += data

    def handle_comment(self, data: str) -> None:
        self.wrong.append("a comment")

    def handle_decl(self, decl: str) -> None:
        self.wrong.append("a declaration")

    def handle_pi(self, data: str) -> None:
        self.wrong.append("an instruction")


def seconds_for(source: str) -> float:
    """How long rendering a message takes."""
    began = time.monotonic()
    to_html_now(source)
    return time.monotonic() - began


def wrong_with(source: str) -> list[str]:
    """What is wrong with the HTML of a message."""
    html = to_html_now(source)
    checked = Checked(html)
    wrong = checked.wrong
    # Every time: a shared machine may be slow now and then.
    if all(seconds_for(source) > limits.TEXT.wall_seconds + 1 for _ in range(3)):
        wrong.append(f"it took {seconds_for(source):.1f} s")
    if len(html.encode()) > limits.max_html_bytes(len(source.encode())):
        wrong.append(f"it grew from {len(source.encode())} bytes to {len(html.encode())}")
    if checked.shown.count(LETTER) < source.count(LETTER):
        wrong.append("not all that was typed is shown")
    return wrong


@pytest.mark.parametrize("subject", ["markdown", "links"])
def test_any_text_is_rendered_in_time_in_proportion_safely_and_completely(subject: str) -> None:
    atom = one_of(MARKDOWN) if subject == "markdown" else one_of(LINKS, LINKS, MARKDOWN)
    for random in for_share(0.15, subject):
        most = random.choice([20, 200, 2000, MAX_CHARACTERS])
        # Unclosed nesting or constructs might swallow the end.
        source = block(random, atom, most - 1, random.choice([40, most])) + LETTER
        if wrong := wrong_with(source):
            source = shrunk(source, lambda shorter: bool(wrong_with(shorter)))
            pytest.fail(said(source, f"{'; '.join(wrong_with(source) or wrong)}\n{to_html_now(source)[:400]}"))

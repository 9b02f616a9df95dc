"""A message's text as it is read out. spoken.js has the same rule; e2e/test_same_rules.py compares the two."""

import re
from html import unescape

from django.utils.html import strip_tags

# Only our own tags match: user text contains no "<" (apps/chat/markdown.py).
OF_LISTS = re.compile(r'<(?P<ends>/)?(?P<tag>ol|ul|li)\b(?: start="(?P<start>\d+)")?(?: value="(?P<value>\d+)")?[^>]*>')


def text_of(html: str) -> str:
    """Return a message's text in one line, with its list numbers, which are normally drawn by CSS."""
    if "<ol" in html:
        html = with_numbers(html)
    return " ".join(unescape(strip_tags(html)).split())


def with_numbers(html: str) -> str:
    """Return the HTML with each list item's number inserted as text."""
    # The next number of each open list; None for unnumbered ones.
    numbers: list[int | None] = []

    def number(found: re.Match[str]) -> str:
        if found["tag"] != "li":
            if not found["ends"]:
                numbers.append(int(found["start"] or 1) if found["tag"] == "ol" else None)
            elif numbers:
                numbers.pop()
        elif not found["ends"] and numbers and numbers[-1] is not None:
            current = int(found["value"] or numbers[-1])
            numbers[-1] = current + 1
            return f"{found[0]}{current}. "
        return found[0]

    return OF_LISTS.sub(number, html)

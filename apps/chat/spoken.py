"""A message's text as it is read out. spoken.js has the same rule; e2e/test_same_rules.py compares the two."""

import re
from html import unescape

from django.utils.html import strip_tags

# Our own tags: what people typed holds no "<" (apps/chat/markdown.py).
OF_LISTS = re.compile(r'<(?P<ends>/)?(?P<tag>ol|ul|li)\b(?: start="(?P<start>\d+)")?(?: value="(?P<value>\d+)")?[^>]*>')


def text_of(html: str) -> str:
    """The text of a message in one line, with the numbers of its lists, which style sheets draw."""
    if "<ol" in html:
        html = with_numbers(html)
    return " ".join(unescape(strip_tags(html)).split())


def with_numbers(html: str) -> str:
    """The HTML with the number of each item as text before it."""
    # Of each list that is open here, the number that comes next; None where there are none.
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

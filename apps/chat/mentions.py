"""Who is named in a message: whose name stands there as `@name`, a word of its own (announcer.js says the same)."""

import re
from html import unescape

from django.utils.html import strip_tags

# What user names are made of.
BETWEEN_WORDS = re.compile(r"[^\w.+@-]+")


def text_of(html: str) -> str:
    """A message's HTML as the text that a reader sees, in one line."""
    return " ".join(unescape(strip_tags(html)).split())


def names(html: str, username: str) -> bool:
    """Whether a message's HTML names the person."""
    wanted = f"@{username}".lower()
    return any(word.rstrip(".,:;!?") == wanted for word in BETWEEN_WORDS.split(text_of(html).lower()))

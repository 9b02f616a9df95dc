"""
Mentions: users named in a message as `@name`.

A message lists the words that follow an @ in it (`mentioned_words`), the same for every reader. One regular expression
per user (`pattern_of`) decides whether such a word names them. Scripts get both as data and have no rules of their own.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from html.parser import HTMLParser
from itertools import islice

from django.db.models import Q

from apps.chat import writing
from apps.core import letters, limits

# In any width; a text's key has the normal one.
AT_SIGNS = "@＠﹫"
# Characters in usernames besides letters, digits and marks.
BETWEEN_LETTERS = ".+-_"
# Elements in which names don't count as mentions: code, and quotes of others.
SILENT = {"code", "pre", "blockquote"}
ADDRESS = re.compile("https?://", re.IGNORECASE)
# How far back to search for the beginning of an address.
MAX_LOOK_BACK_CHARACTERS = 100
# Before an @ these, like letters, make it part of an address.
IN_ADDRESSES = "@_+%=&#~"

# Scripts that put no spaces between words, or attach endings to names, as Korean does: any of their letters may follow
# a name or precede an @.
UNSPACED = letters.in_ascii(f"{writing.UNSPACED}{writing.TIBETAN}")
# Their combining marks, which belong to the letter before.
MARKS = letters.letters(
    *(0xE31, (0xE34, 0xE3A), (0xE47, 0xE4E), 0xEB1, (0xEB4, 0xEBC), (0xEC8, 0xECE), 0xF35, 0xF37, 0xF39),
    *((0xF71, 0xF84), (0xF8D, 0xFBC), (0x102B, 0x103E), (0x1056, 0x1059), (0x105E, 0x1060), (0x17B6, 0x17D3), 0x17DD),
    (0x3099, 0x309A),
)
ONE_UNSPACED = re.compile(f"[{UNSPACED}]")


def is_mentioned(html: str, username: str) -> bool:
    """Return whether a message's HTML mentions the user."""
    return is_named(mentioned_words(html), username)


def is_named(found: Iterable[str], username: str) -> bool:
    """Return whether one of the words names the user."""
    return any(re.match(pattern_of(username), word) for word in found)


@lru_cache(maxsize=1024)
def pattern_of(username: str) -> str:
    """Return a pattern for words that name a user: their name, then its end. Valid in Python and in JavaScript."""
    name = letters.key(username)
    known = re.sub(r"([.+])", r"\\\1", name)
    if ONE_UNSPACED.match(name[-1:]):
        return f"^{known}(?![{MARKS}])"
    return f"^{known}(?=[.+_-]*$|[{UNSPACED}])"


@lru_cache(maxsize=256)
def mentioned_words(html: str) -> tuple[str, ...]:
    """Return the keys of the words that follow an @ in a message's HTML, each once."""
    if not any(sign in html for sign in AT_SIGNS):
        return ()
    text = letters.key(own_text(html))
    found: dict[str, None] = {}
    for at in islice(re.finditer("@", text), limits.MAX_AT_SIGNS):
        if begins_word(text, at.start()) and (word := word_at(text, at.end())):
            found[word] = None
    return tuple(found)[: limits.MAX_MENTIONS]


def word_at(text: str, start: int) -> str:
    """Return the word at `start`; empty if another @ follows, so that it is part of an address."""
    end = start
    most = start + limits.MAX_MENTION_CHARACTERS
    while end < min(len(text), most) and (letters.is_word_letter(text[end]) or text[end] in BETWEEN_LETTERS):
        end += 1
    return "" if text[end : end + 1] == "@" else text[start:end]


def begins_word(text: str, at: int) -> bool:
    """Return whether the @ at this position begins a word, rather than being inside an address."""
    before = text[at - 1 : at]
    if before == "" or before.isspace():
        return True
    if before == "/":
        # "@bob/@ada" are two users, "example.org/@ada" is a URL.
        return re.split(r"[\s/(]", text[max(at - MAX_LOOK_BACK_CHARACTERS, 0) : at - 1])[-1][:1] == "@"
    return before not in IN_ADDRESSES and (not letters.is_word_letter(before) or bool(ONE_UNSPACED.match(before)))


def own_text(html: str) -> str:
    """Return the text of a message without its code, quotes and addresses."""
    parser = OwnTextParser()
    parser.feed(html)
    parser.close()
    return "".join(parser.found)


class OwnTextParser(HTMLParser):
    """Collects the text that is the author's own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0
        self.in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self.silent += 1
        elif tag == "a":
            self.in_link = True

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self.silent -= 1
            self.found.append(" ")
        elif tag == "a":
            self.in_link = False

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.found.append(" " if self.in_link and ADDRESS.match(data) else data)


def may_mention(username: str) -> Q:
    """Return a filter for messages that may mention a user; check them with `is_mentioned`, which compares keys."""
    key = letters.key(username)
    spellings = {key, key.upper(), key.title(), username}
    spellings = {unicodedata.normalize(form, spelling) for spelling in spellings for form in ("NFC", "NFD")}
    found = Q(body__contains="＠") | Q(body__contains="﹫")
    for spelling in {one.lower() if one.isascii() else one for one in spellings}:
        found |= Q(body__icontains=f"@{spelling}")
    return found

"""
Who is named in a message: whose name stands there as `@name`.

A message says which words follow an @ in it (`words`), the same for all who read it; who is named by such a word is
one regular expression for each person (`pattern_of`). Scripts are sent both as data and have no rule of their own.
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

# In any width; the key of a text has the usual one.
AT_SIGNS = "@＠﹫"
# What user names have besides letters, digits and marks.
BETWEEN_LETTERS = ".+-_"
# What is said in them is said of names, or by somebody else.
SILENT = {"code", "pre", "blockquote"}
ADDRESS = re.compile("https?://", re.IGNORECASE)
# Farther back nobody looks for what an address begins with.
MAX_LOOK_BACK_CHARACTERS = 100
# Before an @ they make an address of it, as letters do.
IN_ADDRESSES = "@_+%=&#~"

# Scripts that put no space between words, or join endings to names, as Korean does: there a name may be followed, or
# an @ preceded, by any of their letters.
UNSPACED = letters.in_ascii(f"{writing.UNSPACED}{writing.TIBETAN}")
# Their marks: they belong to the letter before.
MARKS = letters.letters(
    *(0xE31, (0xE34, 0xE3A), (0xE47, 0xE4E), 0xEB1, (0xEB4, 0xEBC), (0xEC8, 0xECE), 0xF35, 0xF37, 0xF39),
    *((0xF71, 0xF84), (0xF8D, 0xFBC), (0x102B, 0x103E), (0x1056, 0x1059), (0x105E, 0x1060), (0x17B6, 0x17D3), 0x17DD),
    (0x3099, 0x309A),
)
ONE_UNSPACED = re.compile(f"[{UNSPACED}]")


def names(html: str, username: str) -> bool:
    """Whether a message's HTML names the person."""
    return is_named(words(html), username)


def is_named(found: Iterable[str], username: str) -> bool:
    """Whether one of the words names the person."""
    return any(re.match(pattern_of(username), word) for word in found)


@lru_cache(maxsize=1024)
def pattern_of(username: str) -> str:
    """What the words match that name a person: their name, at its end. Means the same to Python and to a browser."""
    name = letters.key(username)
    known = re.sub(r"([.+])", r"\\\1", name)
    if ONE_UNSPACED.match(name[-1:]):
        return f"^{known}(?![{MARKS}])"
    return f"^{known}(?=[.+_-]*$|[{UNSPACED}])"


@lru_cache(maxsize=256)
def words(html: str) -> tuple[str, ...]:
    """The keys of the words that follow an @ in a message's HTML, each once."""
    if not any(sign in html for sign in AT_SIGNS):
        return ()
    text = letters.key(spoken_to(html))
    found: dict[str, None] = {}
    for at in islice(re.finditer("@", text), limits.MAX_AT_SIGNS):
        if begins_word(text, at.start()) and (word := word_at(text, at.end())):
            found[word] = None
    return tuple(found)[: limits.MAX_MENTIONS]


def word_at(text: str, start: int) -> str:
    """The word that begins there; empty where it is the host of an address."""
    end = start
    most = start + limits.MAX_MENTION_CHARACTERS
    while end < min(len(text), most) and (letters.is_word_letter(text[end]) or text[end] in BETWEEN_LETTERS):
        end += 1
    return "" if text[end : end + 1] == "@" else text[start:end]


def begins_word(text: str, at: int) -> bool:
    """Whether the @ there is the beginning of a word, and not in the middle of an address."""
    before = text[at - 1 : at]
    if before == "" or before.isspace():
        return True
    if before == "/":
        # "@bob/@ada" are two people, "example.org/@ada" is a page.
        return re.split(r"[\s/(]", text[max(at - MAX_LOOK_BACK_CHARACTERS, 0) : at - 1])[-1][:1] == "@"
    return before not in IN_ADDRESSES and (not letters.is_word_letter(before) or bool(ONE_UNSPACED.match(before)))


def spoken_to(html: str) -> str:
    """The text of a message without its code, its quotes and its addresses."""
    listener = Listener()
    listener.feed(html)
    listener.close()
    return "".join(listener.heard)


class Listener(HTMLParser):
    """Hears what somebody says themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
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
            self.heard.append(" ")
        elif tag == "a":
            self.in_link = False

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.heard.append(" " if self.in_link and ADDRESS.match(data) else data)


def may_name(username: str) -> Q:
    """Messages that may name somebody, for the database, which knows no keys: who is named, `names` says."""
    key = letters.key(username)
    spellings = {key, key.upper(), key.title(), username}
    spellings = {unicodedata.normalize(form, spelling) for spelling in spellings for form in ("NFC", "NFD")}
    found = Q(body__contains="＠") | Q(body__contains="﹫")
    for spelling in {one.lower() if one.isascii() else one for one in spellings}:
        found |= Q(body__icontains=f"@{spelling}")
    return found

"""
Find where addresses begin and end in plain text, in any script.

We don't use linkify-it: it makes text that follows without a space part of the address (full-width punctuation,
Japanese and Korean particles, emoji, marks), and supports neither IPv6 nor `_` in a host. docs/formatting.md explains
the choices, tests/chat/links.toml has an example of each. Runs in linear time.
"""

import re
from collections.abc import Iterator
from unicodedata import category

from apps.chat.writing import LATIN, OTHERS, is_latin, is_unspaced
from apps.core.letters import is_word_letter

DIGITS = "0-9"


def parts_of(letters: str) -> str:
    """Return a pattern for one label of a host name in a script with these letters."""
    return rf"_?[{letters}{DIGITS}](?:[{letters}{DIGITS}_-]{{0,61}}[{letters}{DIGITS}])?"


# A label may mix Latin and another script if a Latin top-level domain follows: 日本tv.jp. Otherwise the name ends where
# the script changes: example.comを見て.
ANY = "".join([LATIN, *OTHERS])
MIXED = rf"{parts_of(ANY)}(?=\.(?:[A-Za-z0-9-]{{1,63}}\.){{0,5}}[A-Za-z]{{2,63}}(?![{ANY}{DIGITS}]))"
PART = "(?:" + "|".join([MIXED, *map(parts_of, [LATIN, *OTHERS])]) + ")"
NAME = rf"{PART}(?:\.{PART})*"
AUTHORITY = re.compile(
    rf"(?:[\w.~+%:-]{{1,64}}@)?(?:\[[0-9a-f:.]{{2,45}}\]|{NAME})(?::[0-9]{{1,5}})?", re.ASCII | re.IGNORECASE
)
SCHEME = re.compile(r"(?:^|[^a-z0-9.+-])([a-z][a-z0-9.+-]*)$", re.IGNORECASE)
# How far before "://" to search for the scheme; no scheme is longer.
MAX_SCHEME_CHARACTERS = 32
# The ASCII parts of a path. A second address after a comma is a separate one.
ASCII_OF_PATH = re.compile(r"(?:(?![,;|]https?://)[!#-;=?-_a-~])+", re.IGNORECASE)
# Allowed inside words of other scripts: Gal·la, レオナルド・ダ・ヴィンチ, Michelson–Morley, and the zero-width joiners.
INSIDE = "\u00b7\u30fb\u2013\u200c\u200d"
WEB = ("http://", "https://")
PATH_GOES_ON = "/?#=&%"
# Letters of unspaced scripts after one of these belong to the address: /wiki/日本, ?q=東京, Category:日本.
SEPARATORS = "/=-_#&+:@$|%"
BRACKETS = {")": "(", "]": "[", "}": "{"}
ENDINGS = ".,:;!?'*"

MAIL = re.compile(
    rf"(?<![\w.+%&'=~/@#\[-])(?:mailto:)?[a-z0-9_][\w.+%&'=~-]{{0,63}}@(?={PART}\.)((?>{NAME}))(?![@:][\w/~])",
    re.ASCII | re.IGNORECASE,
)
# "icon@2x.png" is a file name.
FILES = ("png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "pdf")


def scheme_before(text: str) -> str:
    """Return the scheme at the end of the text before "://"; empty if there is none."""
    found = SCHEME.search(text[-MAX_SCHEME_CHARACTERS:])
    return found[1] if found else ""


def end_of_web_address(text: str, start: int) -> int:
    """Return where the address with its "//" at `start` ends; `start` if it is not an address."""
    found = AUTHORITY.match(text, start + 2)
    if not found:
        return start
    end = found.end()
    following = text[end : end + 2]
    if following and (following[0] == "@" or re.match(r"[A-Za-z0-9]|[:][0-9]", following)):
        return start
    return end_of_path(text, end) if following[:1] in {"/", "?", "#"} else end


def end_of_path(text: str, start: int) -> int:
    """Return the end of the path at `start`, or of the rest of an address with an unknown scheme."""
    end, glued = start, 0
    while end < len(text) and not (glued and text.startswith(WEB, end)):
        if found := ASCII_OF_PATH.match(text, end):
            # If the address continues, the letters before were part of it: /wiki/C言語#概要.
            glued = 0 if any(sign in found[0] for sign in PATH_GOES_ON) else glued
            end = found.end()
        elif not is_letter(text, end):
            break
        else:
            if not glued and is_unspaced(text[end]) and is_behind(text, end):
                glued = end
            end += 1
    end = glued or end
    return start + len(without_endings(balanced(text[start:end])))


def is_letter(text: str, position: int) -> bool:
    """Return whether a character is part of a non-ASCII word."""
    character = text[position]
    if character in INSIDE:
        following = text[position + 1 : position + 2]
        before = text[position - 1]
        # "・" also separates addresses, like a comma.
        is_within = before.isalnum() or category(before)[0] == "M"
        return is_within and following.isalpha() and (character != "\u30fb" or not before.isascii())
    return not character.isascii() and is_word_letter(character)


def is_behind(text: str, position: int) -> bool:
    """Return whether letters of an unspaced script at `position` follow the address rather than belong to it."""
    before = text[position - 1]
    if before in BRACKETS.values():
        before = text[position - 2]
    return bool(is_latin(before)) or (before.isascii() and before not in SEPARATORS)


def balanced(path: str) -> str:
    """Return a path up to its first unbalanced bracket."""
    opened: list[int] = []
    for found in re.finditer(r"[()\[\]{}]", path):
        if found[0] not in BRACKETS:
            opened.append(found.start())
        elif opened and path[opened[-1]] == BRACKETS[found[0]]:
            opened.pop()
        else:
            return path[: found.start()]
    return path[: opened[0]] if opened else path


def without_endings(path: str) -> str:
    """Strip trailing punctuation from a path. "~" often ends a Korean sentence, but "/~" begins a folder name."""
    shorter = path.rstrip(ENDINGS)
    while shorter.endswith("~") and not shorter.endswith("/~"):
        shorter = shorter.rstrip("~").rstrip(ENDINGS)
    return shorter


def mail_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each mail address in a text."""
    for found in MAIL.finditer(text):
        ending = found[1].rpartition(".")[2].lower()
        before = text[found.start() - 1 : found.start()] if found.start() else ""
        is_word = before.isalpha() and not is_unspaced(before)
        if not ending.isdigit() and len(ending) > 1 and ending not in FILES and not is_word:
            yield found.span()

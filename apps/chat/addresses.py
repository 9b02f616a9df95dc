"""
Where an address begins and ends that stands in a text, in any script.

Our own, since linkify-it takes for an address what stands behind it without a space: full-width punctuation, the
particles of Japanese and Korean, emoji, marks; and knows neither IPv6 nor `_` in a host. docs/formatting.md has the
choices, tests/chat/links.toml what each means. The work is in proportion to the text.
"""

import re
from collections.abc import Iterator
from unicodedata import category

from apps.chat.writing import LATIN, OTHERS, is_latin, is_unspaced
from apps.core.letters import is_word_letter

DIGITS = "0-9"


def parts_of(letters: str) -> str:
    """What a part of a host's name looks like in this script."""
    return rf"_?[{letters}{DIGITS}](?:[{letters}{DIGITS}_-]{{0,61}}[{letters}{DIGITS}])?"


# Latin within a part of another script, or the other way round, is meant where a Latin ending follows: 日本tv.jp. Where
# none follows, the name ends where the script changes: example.comを見て.
ANY = "".join([LATIN, *OTHERS])
MIXED = rf"{parts_of(ANY)}(?=\.(?:[A-Za-z0-9-]{{1,63}}\.){{0,5}}[A-Za-z]{{2,63}}(?![{ANY}{DIGITS}]))"
PART = "(?:" + "|".join([MIXED, *map(parts_of, [LATIN, *OTHERS])]) + ")"
NAME = rf"{PART}(?:\.{PART})*"
AUTHORITY = re.compile(
    rf"(?:[\w.~+%:-]{{1,64}}@)?(?:\[[0-9a-f:.]{{2,45}}\]|{NAME})(?::[0-9]{{1,5}})?", re.ASCII | re.IGNORECASE
)
SCHEME = re.compile(r"(?:^|[^a-z0-9.+-])([a-z][a-z0-9.+-]*)$", re.IGNORECASE)
# No scheme is longer; what stands before "://" is looked at so far back.
MAX_SCHEME_CHARACTERS = 32
# The text between words of a path; a second address behind a comma is another one.
ASCII_OF_PATH = re.compile(r"(?:(?![,;|]https?://)[!#-;=?-_a-~])+", re.IGNORECASE)
# Within words of other scripts: Gal·la, レオナルド・ダ・ヴィンチ, Michelson–Morley, and what joins letters.
INSIDE = "\u00b7\u30fb\u2013\u200c\u200d"
WEB = ("http://", "https://")
PATH_GOES_ON = "/?#=&%"
# Letters without spaces behind one of these are within an address: /wiki/日本, ?q=東京, Category:日本.
SEPARATORS = "/=-_#&+:@$|%"
BRACKETS = {")": "(", "]": "[", "}": "{"}
ENDINGS = ".,:;!?'*"

MAIL = re.compile(
    rf"(?<![\w.+%&'=~/@#\[-])(?:mailto:)?[a-z0-9_][\w.+%&'=~-]{{0,63}}@(?={PART}\.)((?>{NAME}))(?![@:][\w/~])",
    re.ASCII | re.IGNORECASE,
)
# "icon@2x.png" is the name of a file.
FILES = ("png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "pdf")


def scheme_before(text: str) -> str:
    """The scheme that a text ends with, before "://"; empty if there is none."""
    found = SCHEME.search(text[-MAX_SCHEME_CHARACTERS:])
    return found[1] if found else ""


def end_of_web_address(text: str, start: int) -> int:
    """Where the address ends whose "//" stands at `start`; `start` if it is none."""
    found = AUTHORITY.match(text, start + 2)
    if not found:
        return start
    end = found.end()
    following = text[end : end + 2]
    if following and (following[0] == "@" or re.match(r"[A-Za-z0-9]|[:][0-9]", following)):
        return start
    return end_of_path(text, end) if following[:1] in {"/", "?", "#"} else end


def end_of_path(text: str, start: int) -> int:
    """Where the part of an address ends that begins here: a path, or all of an address that we do not know."""
    end, glued = start, 0
    while end < len(text) and not (glued and text.startswith(WEB, end)):
        if found := ASCII_OF_PATH.match(text, end):
            # Of what goes on as an address does, the letters before were a part: /wiki/C言語#概要.
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
    """Whether a character is one of a word that is not ASCII."""
    character = text[position]
    if character in INSIDE:
        following = text[position + 1 : position + 2]
        before = text[position - 1]
        # "・" also stands between two addresses, as a comma does.
        is_within = before.isalnum() or category(before)[0] == "M"
        return is_within and following.isalpha() and (character != "\u30fb" or not before.isascii())
    return not character.isascii() and is_word_letter(character)


def is_behind(text: str, position: int) -> bool:
    """Whether letters that need no space before them stand behind the address that came so far, and not within it."""
    before = text[position - 1]
    if before in BRACKETS.values():
        before = text[position - 2]
    return bool(is_latin(before)) or (before.isascii() and before not in SEPARATORS)


def balanced(path: str) -> str:
    """A path up to the first bracket that has no other."""
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
    """A path without the punctuation behind it. A "~" ends many a Korean sentence, and begins the name of a folder."""
    shorter = path.rstrip(ENDINGS)
    while shorter.endswith("~") and not shorter.endswith("/~"):
        shorter = shorter.rstrip("~").rstrip(ENDINGS)
    return shorter


def mail_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Where in a text each mail address begins and ends."""
    for found in MAIL.finditer(text):
        ending = found[1].rpartition(".")[2].lower()
        before = text[found.start() - 1 : found.start()] if found.start() else ""
        is_word = before.isalpha() and not is_unspaced(before)
        if not ending.isdigit() and len(ending) > 1 and ending not in FILES and not is_word:
            yield found.span()

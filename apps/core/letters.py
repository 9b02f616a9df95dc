"""
Characters: the one definition of normal form, case and invisibility, for names, keys, mentions and blank texts.

Databases and scripts have definitions of their own (SQLite knows case for ASCII only), so they compare values made
here: stored keys, and patterns sent with the page.
"""

import re
import unicodedata


def letters(*ranges: int | tuple[int, int]) -> str:
    """Return code points and ranges as the inside of a [] in a regular expression, for Python and JavaScript."""
    pairs = [(one, one) if isinstance(one, int) else one for one in ranges]
    return "".join(f"{escaped(first)}-{escaped(last)}" for first, last in pairs)


def escaped(code_point: int) -> str:
    """Escape a code point for a regular expression; beyond U+FFFF the two languages share no escape."""
    return f"\\u{code_point:04x}" if code_point < 0x10000 else chr(code_point)


def in_ascii(inside: str) -> str:
    """Escape the inside of a [] as ASCII, so that a page's normal form can't change it."""
    return "".join(one if one.isascii() else escaped(ord(one)) for one in inside)


# Invisible characters. Python's unicodedata classifies many of them as letters or marks.
# Default_Ignorable_Code_Point, from DerivedCoreProperties.txt; the same from Unicode 12 to 17.
IGNORABLE = letters(
    *(0xAD, 0x34F, 0x61C, (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E)),
    *((0x2060, 0x206F), 0x3164, (0xFE00, 0xFE0F), 0xFEFF, 0xFFA0, (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3)),
    *((0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
# Controls (Cc) that are not white space, and format characters (Cf) that are neither ignorable nor drawn under or over
# numbers (Prepended_Concatenation_Mark).
CONTROLS = letters((0, 8), (0xE, 0x1B), (0x7F, 0x84), (0x86, 0x9F), (0xFFF9, 0xFFFB), (0x13430, 0x13440))
# Symbols and marks drawn as nothing: blank Braille, the object replacement character, a null notehead, a filler.
EMPTY = letters(0x2800, 0xFFFC, 0x1D159, 0x16FE4)
INVISIBLE = re.compile(f"[{IGNORABLE}{CONTROLS}{EMPTY}]")
VISIBLE = re.compile(f"[^{IGNORABLE}{CONTROLS}{EMPTY}\\s]")

# Scripts whose letters change shape next to a joiner: Arabic and related ones, and those of South and Southeast Asia.
JOINING = re.compile(
    "["
    + letters(
        *((0x620, 0x8FF), (0x900, 0xDFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0x1700, 0x18AF), (0x1900, 0x1BFF)),
        *((0x1C00, 0x1C4F), (0xA800, 0xA9DF), (0xAA00, 0xAADF), (0xABC0, 0xABFF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
        *((0x10A00, 0x10BAF), (0x11000, 0x11FFF), (0x1E900, 0x1E95F)),
    )
    + "]"
)
MONGOLIAN = re.compile(f"[{letters((0x1807, 0x1807), (0x1820, 0x18AA))}]")
IDEOGRAPH = re.compile(
    f"[{letters((0x2E80, 0x2FDF), 0x3007, (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))}]"
)
BRAILLE = re.compile(f"[{letters((0x2801, 0x28FF))}]")
ZWNJ, ZWJ, MONGOLIAN_SEPARATOR, NO_DOTS = "\u200c", "\u200d", "\u180e", "\u2800"
# A subdivision flag: black flag, tags, end tag.
FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,10}\U000e007f")
# The only emoji that are neither symbols nor keycap bases.
EMOJI_AMONG_OTHERS = "\u203c\u2049\u2139\u3030"
KEYCAPS, KEYCAP = "0123456789#*", "\u20e3"


def key(text: str) -> str:
    """
    Return a key that is equal for texts that look the same to readers: it ignores normal form, case, width and
    invisible characters. The key of a key is itself.
    """
    seen = INVISIBLE.sub("", text)
    if seen.isascii():
        return seen.lower()
    # Unicode's compatibility caseless matching (D146): normalising can create capitals, and folding new sequences.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", seen).casefold()).casefold()
    return unicodedata.normalize("NFKC", folded)


def is_blank(text: str) -> bool:
    """Return whether nothing in the text is visible."""
    return VISIBLE.search(text) is None


def has_letter(text: str) -> bool:
    """Return whether the text has a visible letter or digit."""
    return any(unicodedata.category(letter)[0] in "LN" for letter in INVISIBLE.sub("", text))


def has_sign(text: str) -> bool:
    """Return whether the text has a visible letter, digit or symbol, such as a heart."""
    seen = INVISIBLE.sub("", text)
    return has_letter(seen) or any(unicodedata.category(letter) == "So" for letter in seen)


def is_word_letter(letter: str) -> bool:
    """Return whether the character can be part of a word: a letter, a digit or a combining mark."""
    return unicodedata.category(letter)[0] in "LMN"


def strays(text: str) -> list[int]:
    """
    Return the positions of invisible characters with no effect: part of no emoji sequence, joining no letters.

    A red heart keeps its variation selector, Persian and Hindi their joiners, a Japanese name its older glyph.
    """
    # Same length, with a symbol in place of each tag.
    text = FLAG.sub(lambda flag: "\U0001f3f4" * len(flag[0]), text)
    return [found.start() for found in INVISIBLE.finditer(text) if not does_something(text, found.start())]


def without_strays(text: str) -> str:
    """Return the text without such characters."""
    places = set(strays(text))
    return "".join(letter for place, letter in enumerate(text) if place not in places) if places else text


def does_something(text: str, place: int) -> bool:
    """Return whether the character changes how its neighbours are drawn."""
    letter, before, after = text[place], text[place - 1 : place], text[place + 1 : place + 2]
    if letter in "\ufe0e\ufe0f":
        return is_emoji(before) or (before in tuple(KEYCAPS) and after == KEYCAP) or is_of(IDEOGRAPH, before)
    if is_variation(letter):
        return is_of(MONGOLIAN if letter < "\u1810" else IDEOGRAPH, before)
    if letter == MONGOLIAN_SEPARATOR:
        return is_of(MONGOLIAN, before) and is_of(MONGOLIAN, after)
    if letter == NO_DOTS:
        return is_of(BRAILLE, before) and is_of(BRAILLE, after)
    if letter == ZWJ and is_emoji(after):
        return is_emoji(before) or (before in ("\ufe0f", KEYCAP) and is_emoji(text[place - 2 : place - 1]))
    if letter in (ZWJ, ZWNJ):
        return is_of(JOINING, before) and is_of(JOINING, after)
    return False


def is_variation(letter: str) -> bool:
    """Return whether it is a variation selector."""
    return (
        "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef" or letter in "\u180b\u180c\u180d\u180f"
    )


def is_emoji(letter: str) -> bool:
    """Return whether it may be an emoji: a symbol or a skin tone."""
    is_symbol = not letter.isascii() and unicodedata.category(letter) in {"So", "Sm", "Sk"}
    return is_symbol or (letter != "" and letter in EMOJI_AMONG_OTHERS)


def is_of(some: re.Pattern[str], letter: str) -> bool:
    """Return whether the letter matches; an empty string doesn't."""
    return some.match(letter) is not None


def address_of(name: str) -> str:
    """Return a name as a URL slug: lower-case letters, digits and combining marks, with - between words."""
    text = same_address(name)
    kept = "".join(letter if is_word_letter(letter) or letter in "-_" else " " * letter.isspace() for letter in text)
    return re.sub(r"[-\s]+", "-", kept).strip("-_")


def same_address(typed: str) -> str:
    """Normalise an address as `address_of` does, whatever normal form and case it was typed in."""
    return unicodedata.normalize("NFKC", INVISIBLE.sub("", typed)).lower().replace("i\u0307", "i")

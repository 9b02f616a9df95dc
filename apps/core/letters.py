"""
What a letter is: the one idea of normal form, case and what cannot be seen, for names, keys, mentions and blank texts.

Databases and scripts have ideas of their own (SQLite knows the case of ASCII only), so they compare what is made here:
a key that is stored, a pattern that is sent along.
"""

import re
import unicodedata


def letters(*ranges: int | tuple[int, int]) -> str:
    """The inside of a regular expression's [] for code points and ranges of them, for Python and browsers alike."""
    pairs = [(one, one) if isinstance(one, int) else one for one in ranges]
    return "".join(f"{escaped(first)}-{escaped(last)}" for first, last in pairs)


def escaped(code_point: int) -> str:
    """A code point in a regular expression; beyond the first 65,536 the two have no escape in common."""
    return f"\\u{code_point:04x}" if code_point < 0x10000 else chr(code_point)


def in_ascii(inside: str) -> str:
    """The inside of a regular expression's [], to be sent along in a page whatever the page's normal form."""
    return "".join(one if one.isascii() else escaped(ord(one)) for one in inside)


# Nothing is to be seen of these. Python's unicodedata takes many of them for letters or marks.
# Default_Ignorable_Code_Point, from DerivedCoreProperties.txt; the same from Unicode 12 to 17.
IGNORABLE = letters(
    *(0xAD, 0x34F, 0x61C, (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E)),
    *((0x2060, 0x206F), 0x3164, (0xFE00, 0xFE0F), 0xFEFF, 0xFFA0, (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3)),
    *((0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
# The controls (Cc) that are no white space, and the format characters (Cf) that are not among the ignorable ones,
# but for those that are drawn under or over numbers (Prepended_Concatenation_Mark).
CONTROLS = letters((0, 8), (0xE, 0x1B), (0x7F, 0x84), (0x86, 0x9F), (0xFFF9, 0xFFFB), (0x13430, 0x13440))
# Drawn as nothing, though they count as symbols or marks: Braille without dots, an object that is not there, a note
# without a head, a filler.
EMPTY = letters(0x2800, 0xFFFC, 0x1D159, 0x16FE4)
INVISIBLE = re.compile(f"[{IGNORABLE}{CONTROLS}{EMPTY}]")
VISIBLE = re.compile(f"[^{IGNORABLE}{CONTROLS}{EMPTY}\\s]")

# Scripts whose letters take another shape beside a joiner: Arabic and its like, India's and its neighbours'.
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
# A flag of a part of a country: a black flag, tags, an end.
FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,10}\U000e007f")
# Of emoji, these alone are neither symbols nor signs that a keycap is put around.
EMOJI_AMONG_OTHERS = "\u203c\u2049\u2139\u3030"
KEYCAPS, KEYCAP = "0123456789#*", "\u20e3"


def key(text: str) -> str:
    """
    What two texts have in common that are the same to who reads or types them: whatever their normal form, case and
    width, and what in them cannot be seen. The key of a key is itself.
    """
    seen = INVISIBLE.sub("", text)
    if seen.isascii():
        return seen.lower()
    # Unicode's compatibility caseless matching (D146): normalising makes new capitals, and folding new sequences.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", seen).casefold()).casefold()
    return unicodedata.normalize("NFKC", folded)


def is_blank(text: str) -> bool:
    """Whether nothing of a text is to be seen."""
    return VISIBLE.search(text) is None


def has_letter(text: str) -> bool:
    """Whether there is a letter or a digit in it that can be seen."""
    return any(unicodedata.category(letter)[0] in "LN" for letter in INVISIBLE.sub("", text))


def has_sign(text: str) -> bool:
    """Whether there is a letter, a digit or a symbol, such as a heart, in it that can be seen."""
    seen = INVISIBLE.sub("", text)
    return has_letter(seen) or any(unicodedata.category(letter) == "So" for letter in seen)


def is_word_letter(letter: str) -> bool:
    """Whether words are made of it: letters, digits, and the marks that stand on them and change their vowels."""
    return unicodedata.category(letter)[0] in "LMN"


def strays(text: str) -> list[int]:
    """
    Where something stands that cannot be seen and does nothing: it is in no emoji sequence and joins no letters.

    A heart keeps what makes it red, Persian and Hindi keep their joiners, and a Japanese name its older shape.
    """
    # As long as before, with a symbol in place of each tag.
    text = FLAG.sub(lambda flag: "\U0001f3f4" * len(flag[0]), text)
    return [found.start() for found in INVISIBLE.finditer(text) if not does_something(text, found.start())]


def without_strays(text: str) -> str:
    """The text without them."""
    places = set(strays(text))
    return "".join(letter for place, letter in enumerate(text) if place not in places) if places else text


def does_something(text: str, place: int) -> bool:
    """Whether what stands there changes how its neighbours are drawn."""
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
    """Whether it chooses among the shapes of the letter before it."""
    return (
        "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef" or letter in "\u180b\u180c\u180d\u180f"
    )


def is_emoji(letter: str) -> bool:
    """Whether it may be one: a symbol, or a colour of skin."""
    is_symbol = not letter.isascii() and unicodedata.category(letter) in {"So", "Sm", "Sk"}
    return is_symbol or (letter != "" and letter in EMOJI_AMONG_OTHERS)


def is_of(some: re.Pattern[str], letter: str) -> bool:
    """Whether it is one of those letters; where there is none, not."""
    return some.match(letter) is not None


def address_of(name: str) -> str:
    """A name as a part of an address: small letters, digits and the marks that belong to them, with - between words."""
    text = same_address(name)
    kept = "".join(letter if is_word_letter(letter) or letter in "-_" else " " * letter.isspace() for letter in text)
    return re.sub(r"[-\s]+", "-", kept).strip("-_")


def same_address(typed: str) -> str:
    """An address in the form that `address_of` gives, whatever normal form and case it was typed in."""
    return unicodedata.normalize("NFKC", INVISIBLE.sub("", typed)).lower().replace("i\u0307", "i")

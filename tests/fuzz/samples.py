"""Strings that a regular expression matches, nearly matches, or begins to match."""

import string
from random import Random
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

# Samples of a category (\w, \s, \d and their opposites), and of anything.
CATEGORIES: dict[Any, str] = {
    codes.CATEGORY_DIGIT: "019",
    codes.CATEGORY_NOT_DIGIT: "a _",
    codes.CATEGORY_SPACE: " \t\n\f",
    codes.CATEGORY_NOT_SPACE: "a1(\\",
    codes.CATEGORY_WORD: "aZ0_é",
    codes.CATEGORY_NOT_WORD: " .\"'-",
}
ANYTHING = string.ascii_letters + string.punctuation + " 0é"
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)


def sample(pattern: str, flags: int, random: Random) -> str:
    """A string that the pattern matches, or nearly; sometimes one of its repeats is very long."""
    return of_all(parser.parse(pattern, flags), random)


def of_all(tree: Any, random: Random) -> str:
    """A sample of each part of a pattern, joined."""
    return "".join(of_one(code, value, random) for code, value in tree)


def of_one(code: Any, value: Any, random: Random) -> str:
    """A sample of one part of a pattern."""
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.ANY or code is codes.NOT_LITERAL:
        return random.choice(ANYTHING)
    if code is codes.IN:
        return of_class(value, random)
    if code is codes.BRANCH:
        return of_all(random.choice(value[1]), random)
    if code is codes.SUBPATTERN:
        return of_all(value[3], random)
    if code is codes.ATOMIC_GROUP:
        return of_all(value, random)
    if code is codes.ASSERT:
        return of_all(value[1], random)
    if code in REPEATS:
        least, most, tree = value
        count: int = max(least, random.choice([0, 1, 2, 3, random.choice([10, 60])]))
        return of_all(tree, random) * min(count, 200 if most is codes.MAXREPEAT else int(most), 200)
    return ""


def of_class(parts: Any, random: Random) -> str:
    """One character of a character class."""
    code, value = random.choice(parts)
    if code is codes.NEGATE:
        return random.choice(ANYTHING)
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.RANGE:
        letter = chr(random.choice([value[0], value[1], random.randint(*value)]))
        return letter if not "\ud800" <= letter <= "\udfff" else "a"
    if code is codes.CATEGORY:
        return str(random.choice(CATEGORIES[value]))
    return random.choice(string.punctuation)

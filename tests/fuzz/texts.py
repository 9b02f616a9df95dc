"""Texts of shapes that make programs slow: runs, nesting, alternation, long beginnings without an end."""

import re
from collections.abc import Callable
from random import Random
from typing import Any

from pygments.lexer import DelegatingLexer, Lexer, RegexLexer

from apps.core import limits
from tests.fuzz.samples import sample

SPACES = [" ", "  ", "\t", "\n", "\r", "\f", "\v", "\u00a0", "\u2003", "\u3000", "\u2028", "\ufeff", "\u200b"]
MARKS = [
    *"\"'`\\/*+-_=<>()[]{}|&^%$#@!?~:;,.",
    *["\\\\", '\\"', "\\'", '"""', "'''", "/*", "*/", "//", "<!--", "-->", "<?", "?>", "<%", "{{", "{%", "${", "#{"],
    *["=>", "->", "::", "&&", "||", "<<", "</", "/>", "@@", "%w", "0x", "1e", "1.", "\\\n", "<<EOF\n", "[[", "]]"],
]
LETTERS = [*"aZ0_é語ü", "\u0301", "😀", "\U000e0041", "aaaa", "a1", "x.y", "a b", "if", "e"]
PAIRS = ["()", "[]", "{}", "<>", '""', "''", ("/*", "*/"), ("<a>", "</a>"), ("${", "}"), ('f"{', '}"'), ("(?:", ")*")]
Atoms = Callable[[Random], str]


def common(random: Random) -> str:
    """A piece that means something in some language."""
    pieces: list[str] = random.choice([SPACES, MARKS, MARKS, LETTERS])
    return random.choice(pieces)


def atoms_of(*lexers: Lexer) -> Atoms:
    """A function that returns pieces that these lexers recognise, mixed with common ones."""
    patterns = sorted({pattern for lexer in lexers for pattern in patterns_of(lexer)})

    def atom(random: Random) -> str:
        if patterns and random.random() < 0.6:
            pattern, flags = random.choice(patterns)
            piece = sample(pattern, flags, random)
            # Incomplete beginnings make a match backtrack.
            return piece[: random.randrange(len(piece) + 1)] if random.random() < 0.3 else piece
        return common(random)

    return atom


def patterns_of(lexer: Lexer) -> list[tuple[str, int]]:
    """The regular expressions of a lexer, with their flags."""
    if isinstance(lexer, DelegatingLexer):
        return patterns_of(lexer.root_lexer) + patterns_of(lexer.language_lexer)
    if not isinstance(lexer, RegexLexer):
        return []
    tokens: dict[str, list[tuple[Any, ...]]] = lexer._tokens  # type: ignore[attr-defined]
    rules = [rule for rules in tokens.values() for rule in rules]
    found = [getattr(rule[0], "__self__", None) for rule in rules]
    return [(pattern.pattern, pattern.flags & ~re.UNICODE) for pattern in found if pattern is not None]


def shaped(random: Random, atom: Atoms, most: int) -> str:
    """A text of `most` characters, in one of the shapes."""
    head, one, two, tail = (atom(random) or "a" for _ in range(4))
    shape = random.randrange(7)
    if shape == 0:
        text = one * most
    elif shape == 1:
        text = head + one * most
    elif shape == 2:
        text = head + (one * most)[: most - len(head) - len(tail)] + tail
    elif shape == 3:
        text = (one + two) * most
    elif shape == 4:
        opens, closes = random.choice(PAIRS)
        depth = most // (len(opens) + len(closes) + len(one))
        text = (opens + one) * depth + closes * random.choice([0, depth, depth - 1])
    elif shape == 5:
        pieces = [atom(random) for _ in range(random.choice([3, 10]))]
        text = "".join(random.choice(pieces) for _ in range(most))
    else:
        text = "".join(atom(random) for _ in range(200))
    return text[:most]


def block(random: Random, atom: Atoms, most: int, line: int) -> str:
    """Code of at most `most` characters in lines of at most `line`: one line repeated, or a wrapped text."""
    if random.random() < 0.5:
        text = shaped(random, atom, random.choice([line, line, line // 2, 40])).replace("\n", " ") + "\n"
        text = text * (most // len(text) + 1)
    else:
        text = shaped(random, atom, most)
    lines = [part[start : start + line] for part in text.splitlines() for start in range(0, max(1, len(part)), line)]
    return "\n".join(lines)[:most]


def code(random: Random, atom: Atoms, most: int = 0, line: int = 0) -> str:
    """A block as large as one that is highlighted may be, or of these sizes."""
    text = block(
        random, atom, most or limits.MAX_HIGHLIGHTED_CHARACTERS, line or limits.MAX_HIGHLIGHTED_LINE_CHARACTERS
    )
    return re.sub(rf"(\s{{{limits.MAX_HIGHLIGHTED_SPACES}}})\s+", r"\1", text)


# Markdown's constructs, and things that look like them.
MARKDOWN = [
    *[
        "> ",
        ">",
        "- ",
        "* ",
        "+ ",
        "1. ",
        "3) ",
        "    ",
        "\n",
        "\n\n",
        "  \n",
        "# ",
        "---\n",
        "===\n",
        "| a | b |\n|---|---|\n",
    ],
    *["*", "**", "***", "_", "__", "~~", "`", "``", "```", "```python\n", "~~~\n", "```語 語\n", "\\", "\\*", "\\\n"],
    *[
        "[",
        "](",
        "]",
        ")",
        "[語](https://a.example)",
        "[語]: /url\n",
        '[a](b "語")',
        "![a](b)",
        "[^1]",
        "<https://a.b>",
        "<a@b.co>",
    ],
    *[
        "<",
        "</",
        "<b>",
        "<!--",
        "-->",
        "<script>",
        "<![CDATA[",
        "<a href='javascript:alert(1)'>",
        "[a](javascript:alert(1))",
    ],
    *["&", "&amp;", "&#0;", "&#x110000;", "&copy", "&nbsp;", "data:text/html,", "\u202e", "\x0b", "\ufffd", "@ann"],
]
# Addresses, and text around and inside them.
LINKS = [
    *[
        "http://a.b/",
        "https://語.example/",
        "http://[::1]/",
        "http://127.0.0.1:8000/",
        "HTTP://A.B",
        "ftp://a.b",
        "//a.co",
    ],
    *[
        "mailto:a@b.co",
        "a@b.co",
        "a.b+c@d.co",
        "tel:1",
        "javascript:alert(1)",
        "data:text/html,x",
        "a_b.co",
        "xn--ls8h.la",
    ],
    *[
        "?q=",
        "#",
        "%zz",
        "%E8%AA%9E",
        "(",
        ")",
        "[",
        "]",
        "<",
        ">",
        '"',
        "'",
        "。",
        "，",
        "…",
        "،",
        "~~",
        "_",
        "*",
        "&amp;",
    ],
    *[
        ".",
        "..",
        "-",
        ":",
        "/",
        "@",
        " ",
        "\n",
        "\u3000",
        "\u200b",
        "語",
        "한",
        "😀",
        "\\",
        "|",
        "a",
        "co",
        "a" * 70,
        "1.2",
    ],
]


def one_of(*lists: list[str]) -> Atoms:
    """A function that returns pieces from these lists, mixed with common ones."""

    def atom(random: Random) -> str:
        return random.choice(random.choice(lists)) if random.random() < 0.8 else common(random)

    return atom

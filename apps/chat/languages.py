"""
The languages whose code is highlighted.

A lexer is a list of regular expressions, and its library promises nothing about how long they take: what is slow on
some text is ended (rendering.py), and what is slow at all is not on the list.
"""

from collections.abc import Iterable
from typing import Any

from pygments.lexer import Lexer
from pygments.lexers import get_all_lexers, get_lexer_by_name
from pygments.lexers.c_cpp import CFamilyLexer, CLexer, CppLexer
from pygments.lexers.configs import IniLexer
from pygments.lexers.dotnet import CSharpLexer
from pygments.lexers.jvm import JavaLexer
from pygments.lexers.shell import BashLexer

# Those that `make fuzz` found no block for which takes half of a message's time, as mended below. Not among them, at
# the allowed sizes: Perl and PHP (for ever), console sessions, R and Markdown (50 to 200 ms). Others stay plain.
LANGUAGES = [
    "python",
    "javascript",
    "typescript",
    "json",
    "yaml",
    "toml",
    "ini",
    "html",
    "xml",
    "css",
    "scss",
    "sql",
    "graphql",
    "bash",
    "powershell",
    "make",
    "docker",
    "nginx",
    "diff",
    "protobuf",
    "latex",
    "c",
    "cpp",
    "java",
    "csharp",
    "go",
    "rust",
    "ruby",
    "swift",
    "kotlin",
    "lua",
    "haskell",
    "elixir",
    "scala",
    "clojure",
]


def mend(tokens: dict[str, list[Any]], slow: str, quick: str) -> None:
    """Put another regular expression in the place of one, or of a part, in all rules of a lexer and of its heirs."""
    for state, rules in tokens.items():
        tokens[state] = [
            (rule[0].replace(slow, quick), *rule[1:]) if isinstance(rule, tuple) and isinstance(rule[0], str) else rule
            for rule in rules
        ]


def mend_lexers() -> None:
    """Take out what is slow by design: where there are very many ways to match one text, each of them is tried."""
    # A quote with \77\77 in it that has no end. The lexers of Make and Docker use this one too.
    mend(BashLexer.tokens, r"'(\\\\|\\[0-7]+|\\.|[^'\\])*'", r"'(?:\\.|[^'\\])*'")
    # Comments, of lines that end with a backslash, where a function might begin.
    comment, comments = CFamilyLexer._comment_single, CFamilyLexer._possible_comments
    for lexer in (CFamilyLexer, CLexer, CppLexer):
        mend(lexer.tokens, comments, rf"(?>{comments})")
        mend(lexer.tokens, comment, rf"(?>{comment})")
    # Spaces before a sign that does not come.
    mend(IniLexer.tokens, r"(.*?)([ \t]*)([=:])", r"([^=:\n]*+)([ \t]*)([=:])")
    # Words and words, each of which might begin a method whose name comes much later.
    mend(JavaLexer.tokens, r"*\s+)+?)", r"*\s+){1,9}?)")
    variants: dict[str, Any] = CSharpLexer.tokens
    for tokens in variants.values():
        mend(tokens, r"\s+)+?)", r"\s+){1,9}?)")


def names_of(aliases: Iterable[str], file_names: Iterable[str]) -> set[str]:
    """What people call a language: its names, and the ends of its files' names."""
    return {*aliases, *(name.removeprefix("*.") for name in file_names if name.startswith("*."))}


def lexers() -> dict[str, Lexer]:
    """The lexers of LANGUAGES by each of their names, with their patterns compiled."""
    mend_lexers()
    found: dict[str, Lexer] = {}
    for language in LANGUAGES:
        lexer = get_lexer_by_name(language)
        list(lexer.get_tokens(""))
        found = dict.fromkeys(names_of(lexer.aliases, lexer.filenames), lexer) | found
    return found


# Made when the fork server imports this, so that no child has to.
LEXERS = lexers()
# Of all languages there are, to tell a name behind ``` from text.
NAMES = {name.lower() for _, aliases, files, _ in get_all_lexers(plugins=False) for name in names_of(aliases, files)}

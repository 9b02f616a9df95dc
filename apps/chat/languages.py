"""
The languages with syntax highlighting.

A lexer is a list of regular expressions with no bound on their running time. A lexer that is slow on some text is
killed (rendering.py); one that is slow in general is not on the list.
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

# For these, with the fixes below, `make fuzz` found no code block that takes half of a message's time limit. Excluded
# at the allowed sizes: Perl and PHP (never end), console sessions, R and Markdown (50 to 200 ms).
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
    """Replace a regular expression, or part of one, in all rules of a lexer, which its subclasses inherit."""
    for state, rules in tokens.items():
        tokens[state] = [
            (rule[0].replace(slow, quick), *rule[1:]) if isinstance(rule, tuple) and isinstance(rule[0], str) else rule
            for rule in rules
        ]


def mend_lexers() -> None:
    """Replace patterns with catastrophic backtracking."""
    # An unterminated quote with \77\77 in it. The lexers of Make and Docker use this one too.
    mend(BashLexer.tokens, r"'(\\\\|\\[0-7]+|\\.|[^'\\])*'", r"'(?:\\.|[^'\\])*'")
    # Comments with continuation lines, where a function might begin.
    comment, comments = CFamilyLexer._comment_single, CFamilyLexer._possible_comments
    for lexer in (CFamilyLexer, CLexer, CppLexer):
        mend(lexer.tokens, comments, rf"(?>{comments})")
        mend(lexer.tokens, comment, rf"(?>{comment})")
    # Spaces before a separator that never comes.
    mend(IniLexer.tokens, r"(.*?)([ \t]*)([=:])", r"([^=:\n]*+)([ \t]*)([=:])")
    # Long runs of words, each of which might begin a method signature.
    mend(JavaLexer.tokens, r"*\s+)+?)", r"*\s+){1,9}?)")
    variants: dict[str, Any] = CSharpLexer.tokens
    for tokens in variants.values():
        mend(tokens, r"\s+)+?)", r"\s+){1,9}?)")


def names_of(aliases: Iterable[str], file_names: Iterable[str]) -> set[str]:
    """Return what people call a language: its names and its file extensions."""
    return {*aliases, *(name.removeprefix("*.") for name in file_names if name.startswith("*."))}


def lexers() -> dict[str, Lexer]:
    """Return the lexers of LANGUAGES by each of their names, with their patterns compiled."""
    mend_lexers()
    found: dict[str, Lexer] = {}
    for language in LANGUAGES:
        lexer = get_lexer_by_name(language)
        list(lexer.get_tokens(""))
        found = dict.fromkeys(names_of(lexer.aliases, lexer.filenames), lexer) | found
    return found


# Built when the fork server imports this module, so that no child has to.
LEXERS = lexers()
# The names of all known languages, to tell a language name after ``` from text.
NAMES = {name.lower() for _, aliases, files, _ in get_all_lexers(plugins=False) for name in names_of(aliases, files)}

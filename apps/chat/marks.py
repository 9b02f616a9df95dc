"""Markdown rules for messages that differ from CommonMark (docs/formatting.md), to match what people expect."""

import re
from unicodedata import category

from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import StateBlock, blockquote, list_block
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

from apps.chat.links import leads_elsewhere, with_ascii_host
from apps.chat.writing import is_east_asian_punctuation, is_unspaced

# What "\\" escapes. Before anything else it is a literal backslash, as in C:\\$new or \\(x\\).
ESCAPED = frozenset("\\`*_~[]()<>#+-.!:@")
# List numbers. "2026. A great year" begins with a year; "007." and "3)" would not be shown as typed.
COUNTED = re.compile(r"(?:0|[1-9]\d{0,2})\.(?!\S)")
# Blocks that set the text direction. Nested ones inherit it.
BLOCKS = {"paragraph_open", "list_item_open", "blockquote_open"}


class Marks(StateInline):
    """The parser's state for one paragraph."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
        """
        Return whether a run of delimiters may open and close bold, italic or struck text.

        CommonMark requires a space between a letter and a delimiter with punctuation on its other side. Scripts
        without spaces can't provide one: これは**「重要」**です, **한국(Korea)**은.
        """
        end = start
        while end < self.posMax and self.src[end] == self.src[start]:
            end += 1
        before = self.src[start - 1] if start else " "
        after = self.src[end] if end < self.posMax else " "
        begins = not after.isspace() and (not is_spaced_punctuation(after) or is_loose(before))
        ends = not before.isspace() and (not is_spaced_punctuation(before) or is_loose(after))
        return Scanned(
            begins and (canSplitWord or not ends or is_punctuation(before)),
            ends and (canSplitWord or not begins or is_punctuation(after)),
            end - start,
        )


class Paragraphs(ParserInline):
    """The library's paragraph parser, with our delimiter rules."""

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = Marks(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class Markdown(MarkdownIt):
    """The library's parser, limited to links that lead to other sites."""

    def __init__(self) -> None:
        super().__init__()
        self.inline = Paragraphs()

    def validateLink(self, url: str) -> bool:  # noqa: N802
        """Return whether a URL may be linked. Others stay text as typed: [a](tel:1), [a](/b)."""
        return leads_elsewhere(url)

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        """Return an address for `href`, with its host in ASCII."""
        return super().normalizeLink(with_ascii_host(url))

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        """Return an address for display, as it was typed."""
        return link


def is_punctuation(character: str) -> bool:
    """Return whether CommonMark counts a character as punctuation, which includes symbols."""
    return category(character)[0] in "PS"


def is_spaced_punctuation(character: str) -> bool:
    """Return whether a character is punctuation of a script that uses spaces."""
    return is_punctuation(character) and not is_east_asian_punctuation(character)


def is_loose(character: str) -> bool:
    """Return whether a character needs no space between itself and a delimiter."""
    return character.isspace() or is_punctuation(character) or bool(is_unspaced(character))


def escape(state: StateInline, silent: bool) -> bool:
    """
    Parse an escaped delimiter.

    Before anything else, and at the end of a line, "\\" is literal: \\\\server\\share, shell commands.
    """
    following = state.src[state.pos + 1 : state.pos + 3]
    if state.src[state.pos] != "\\" or following[:1] not in ESCAPED or not following:
        return False
    is_path = following[0] == "\\" and following[1:].isalnum()
    if not silent:
        token = state.push("text_special", "", 0)
        token.content = "\\\\" if is_path else following[0]
        token.info = "escape"
    state.pos += 2
    return True


def numbered_or_not(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a list. A numbered one must match COUNTED; other numbers are part of the text."""
    return not is_uncounted(state, start) and list_block(state, start, end, silent)


def end_of_numbers(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """End a list before a line with any other number. The parser asks this silently within a list."""
    return silent and is_uncounted(state, start)


def is_uncounted(state: StateBlock, line: int) -> bool:
    """Return whether a line begins with a number that is not a list number."""
    text = line_at(state, line)
    return text[:1].isdigit() and not COUNTED.match(text)


def quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a quote. ">:(", ">_<" and ">50%" are not quotes."""
    following = line_at(state, start)[1:2]
    if following and not (following.isspace() or following.isalpha() or following == ">"):
        return False
    return blockquote(state, start, end, silent)


def line_at(state: StateBlock, line: int) -> str:
    """Return the first few characters of a line, after its indentation."""
    begins = state.bMarks[line] + state.tShift[line]
    return state.src[begins : min(state.eMarks[line], begins + 8)]


def numbers(state: StateCore) -> None:
    """Keep the typed number of each list item; if all are the same, number them automatically."""
    open_lists: list[tuple[list[Token], int]] = []
    for token in state.tokens:
        if token.type == "ordered_list_open":
            open_lists.append(([], int(token.attrs.get("start", 1))))
        elif token.type == "list_item_open" and token.info:
            open_lists[-1][0].append(token)
        elif token.type == "ordered_list_close":
            items, expected = open_lists.pop()
            if len({item.info for item in items}) > 1:
                for item in items:
                    if int(item.info) != expected:
                        item.attrs["value"] = expected = int(item.info)
                    expected += 1


def directions(state: StateCore) -> None:
    """
    Give each outermost block the direction of its own text; nested blocks inherit it.

    Addresses and code run from left to right, and don't affect the block's direction.
    """
    depth = 0
    for index, token in enumerate(state.tokens):
        if token.type in BLOCKS:
            if not depth and state.tokens[index + 1].nesting != -1:
                token.attrs["dir"] = "auto"
            depth += 1
        elif token.nesting == -1 and token.type.replace("_close", "_open") in BLOCKS:
            depth -= 1
        elif token.type == "code_block":
            token.attrs["dir"] = "ltr"
        for child in token.children or []:
            if child.type == "code_inline" or (child.type == "link_open" and child.info == "auto"):
                child.attrs["dir"] = "ltr"

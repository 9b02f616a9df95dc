"""What marks mean in a message where CommonMark and people differ (docs/formatting.md); people win."""

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

# What a "\\" may stand before to say that it is no mark. Before all else it is one itself, as in C:\\$new or \\(x\\).
ESCAPED = frozenset("\\`*_~[]()<>#+-.!:@")
# "2026. A great year" begins with a year; "007." and "3)" would be shown as something else than what was typed.
COUNTED = re.compile(r"(?:0|[1-9]\d{0,2})\.(?!\S)")
# Whatever is in them has their direction; only where they begin is asked which.
BLOCKS = {"paragraph_open", "list_item_open", "blockquote_open"}


class Marks(StateInline):
    """What the parser knows of a paragraph."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
        """
        Whether a run of marks may begin and end what is bold, italic or struck.

        CommonMark asks for a space between a letter and a mark that has punctuation on its other side. Scripts without
        spaces have none to give: これは**「重要」**です, **한국(Korea)**은.
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
    """The library's parser of a paragraph, with our idea of marks."""

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = Marks(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class Markdown(MarkdownIt):
    """The library's parser, by whose idea of links all addresses are links that lead away from here."""

    def __init__(self) -> None:
        super().__init__()
        self.inline = Paragraphs()

    def validateLink(self, url: str) -> bool:  # noqa: N802
        """Whether it is a link. What is none stays as it was typed: [a](tel:1), [a](/b)."""
        return leads_elsewhere(url)

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        """An address as it is asked for, with its host in the letters of the DNS."""
        return super().normalizeLink(with_ascii_host(url))

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        """An address as it is shown: as it was typed."""
        return link


def is_punctuation(character: str) -> bool:
    """What CommonMark calls punctuation, symbols among it."""
    return category(character)[0] in "PS"


def is_spaced_punctuation(character: str) -> bool:
    """Punctuation of scripts that have spaces."""
    return is_punctuation(character) and not is_east_asian_punctuation(character)


def is_loose(character: str) -> bool:
    """Whether it needs no space between itself and a mark."""
    return character.isspace() or is_punctuation(character) or bool(is_unspaced(character))


def escape(state: StateInline, silent: bool) -> bool:
    """
    A mark that is kept from being one.

    Where there is no mark, and at the end of a line, "\\" is what was typed: \\\\server\\share, commands of a shell.
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
    """A list. Of those with numbers only what counts: other numbers are part of the text."""
    return not is_uncounted(state, start) and list_block(state, start, end, silent)


def end_of_numbers(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Other numbers do not go on with a list either: asked within one, silently, whether it ends before this line."""
    return silent and is_uncounted(state, start)


def is_uncounted(state: StateBlock, line: int) -> bool:
    """Whether a line begins with a number that makes no item of a list."""
    text = line_at(state, line)
    return text[:1].isdigit() and not COUNTED.match(text)


def quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A quote. ">:(", ">_<" and ">50%" are none."""
    following = line_at(state, start)[1:2]
    if following and not (following.isspace() or following.isalpha() or following == ">"):
        return False
    return blockquote(state, start, end, silent)


def line_at(state: StateBlock, line: int) -> str:
    """A line, from where its text begins."""
    begins = state.bMarks[line] + state.tShift[line]
    return state.src[begins : min(state.eMarks[line], begins + 8)]


def numbers(state: StateCore) -> None:
    """Each item keeps the number that was typed; where all have the same one, they are counted."""
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
    Each block has the direction of its own text, and what stands within a block has the block's.

    Addresses and code run from left to right, and have no say in it.
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

"""
Convert Markdown to HTML that is safe to show to everyone.

It processes untrusted text, so it runs only in the child processes of rendering.py, and does not import Django.
"""

import re
from collections.abc import Callable, Generator, Sequence
from functools import cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.token import STANDARD_TYPES

from apps.chat.languages import LEXERS, NAMES
from apps.chat.links import links, web_addresses, with_ascii_host
from apps.chat.marks import Markdown, directions, end_of_numbers, escape, numbered_or_not, numbers, quote
from apps.core import limits
from apps.core.bounded import Exceeded

TAGS = {"p", "br", "em", "strong", "s", "a", "ul", "ol", "li", "blockquote", "code", "pre", "span"}
# No id, no style, no data-* and no hx-* attribute: htmx would act on them.
ATTRIBUTES: dict[str, set[str]] = {"*": set(), "a": {"href"}, "ol": {"start"}, "li": {"value"}}
AUTO, LEFT_TO_RIGHT = {"dir": {"auto"}}, {"dir": {"ltr"}}
DIRECTIONS = dict.fromkeys(["p", "li", "blockquote"], AUTO) | dict.fromkeys(["a", "code", "pre"], LEFT_TO_RIGHT)
SCHEMES = {"http", "https", "mailto"}
LONG_SPACES = re.compile(rf"\s{{{limits.MAX_HIGHLIGHTED_SPACES + 1}}}")
CLASSES = {"pre": {"code"}, "span": {name for name in STANDARD_TYPES.values() if name}}

# Loads the IDNA tables before children are forked: loading them would cost each a tenth of its time limit.
with_ascii_host("https://ü.example")


def plain_block(code: str, language: str, attributes: str) -> str:
    """Return a code block without highlighting. Since it begins with <pre, the parser adds no wrapper."""
    return f'<pre class="code" dir="ltr"><code>{nh3.clean_text(code)}</code></pre>'


def highlighted_block(code: str, language: str, attributes: str) -> str:
    """Return a code block with highlighting, if it has a lexer and is small enough."""
    lexer = lexer_for(code, language)
    if lexer is None:
        return plain_block(code, language, attributes)
    return f'<pre class="code" dir="ltr"><code>{highlight(code, lexer, HtmlFormatter(nowrap=True))}</code></pre>'


def lexer_for(code: str, language: str) -> Lexer | None:
    """Return the lexer for a code block; None for unknown languages, and for blocks that might take too long."""
    if len(code) > limits.MAX_HIGHLIGHTED_CHARACTERS:
        return None
    if max(map(len, code.splitlines()), default=0) > limits.MAX_HIGHLIGHTED_LINE_CHARACTERS:
        return None
    if LONG_SPACES.search(code):
        return None
    words = language.split()
    return LEXERS.get(words[0].lower()) if words else None


@cache
def parser(block: Callable[[str, str, str], str] = plain_block) -> MarkdownIt:
    """Return the parser for messages: CommonMark with line breaks as typed; no HTML, headings, images or tables."""
    markdown = Markdown()
    markdown.configure("commonmark", {"html": False, "breaks": True, "highlight": block})
    markdown.inline.ruler.at("linkify", web_addresses)
    markdown.inline.ruler.at("escape", escape)
    markdown.block.ruler.before("list", "end_of_numbers", end_of_numbers, {"alt": ["list"]})
    markdown.block.ruler.at("list", numbered_or_not, {"alt": ["paragraph", "reference", "blockquote"]})
    markdown.block.ruler.at("blockquote", quote, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    markdown.core.ruler.at("linkify", links)
    markdown.core.ruler.after("block", "fences", fences)
    markdown.core.ruler.after("fences", "numbers", numbers)
    markdown.core.ruler.after("linkify", "directions", directions)
    markdown.enable(["linkify", "strikethrough"])
    # A heading in a message would mix with the page's own; in a chat "---" is a line of dashes, and "&lt;" means
    # the characters typed.
    markdown.disable(["heading", "lheading", "hr", "image", "html_block", "html_inline", "reference", "entity"])
    return markdown


def fences(state: StateCore) -> None:
    """Make text after ``` that is not a language name the first line of the code; otherwise it would be lost."""
    for token in state.tokens:
        if token.type == "fence" and token.info.strip() and token.info.strip().lower() not in NAMES:
            token.content = f"{token.info.strip()}\n{token.content}"
            token.info = ""
        elif token.type == "fence" and not token.content.strip():
            token.content, token.info = token.info.strip(), ""


@cache
def cleaner() -> nh3.Cleaner:
    """Return the sanitiser, which decides what HTML a message may contain."""
    return nh3.Cleaner(
        tags=TAGS,
        attributes=ATTRIBUTES,
        tag_attribute_values=DIRECTIONS,
        allowed_classes=CLASSES,
        url_schemes=SCHEMES,
        link_rel="nofollow noopener noreferrer ugc",
        generic_attribute_prefixes=set(),
        strip_comments=True,
    )


def html_of(source: bytes) -> Generator[tuple[bytes, ...], None, tuple[bytes, ...]]:
    """
    Return a message's Markdown as sanitised HTML, as a job for a child process (apps/core/bounded.py).

    If there is code to highlight, first yield the HTML without highlighting, which also stands in for highlighted HTML
    that is too large. Raises Exceeded for HTML too large for its source, and for nesting so deep that the parser would
    drop the rest.
    """
    most = limits.max_html_bytes(len(source))
    tokens = parser().parse(source.decode())
    if any(map(is_too_deep, tokens)):
        raise Exceeded("it is nested too deeply")
    plain = rendered(tokens, plain_block).encode()
    if len(plain) > most:
        raise Exceeded("its HTML is too large")
    if not any(token.type == "fence" and lexer_for(token.content, token.info) for token in tokens):
        return (plain,)
    yield (plain,)
    highlighted = rendered(tokens, highlighted_block).encode()
    return (highlighted if len(highlighted) <= most else plain,)


def is_too_deep(token: Token) -> bool:
    """Return whether a token opens a quote or list so deep that the parser drops its contents."""
    most: int = parser().options["maxNesting"]
    return token.nesting == 1 and token.type != "paragraph_open" and token.level >= most - 1


def rendered(tokens: Sequence[Token], block: Callable[[str, str, str], str]) -> str:
    """Return tokens as sanitised HTML; `block` renders code."""
    markdown = parser(block)
    return cleaner().clean(markdown.renderer.render(tokens, markdown.options, {})).strip()

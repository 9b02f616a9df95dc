"""
Markdown to HTML that is safe to show to everyone.

It works on a stranger's text, so it only ever runs in the children of rendering.py; it imports neither Django nor the
rest of the site.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_all_lexers, get_lexer_by_name
from pygments.lexers.shell import BashLexer
from pygments.token import STANDARD_TYPES

from apps.chat.links import links
from apps.core import limits
from apps.core.bounded import Exceeded

TAGS = {"p", "br", "em", "strong", "s", "a", "ul", "ol", "li", "blockquote", "code", "pre", "span"}
# No id, no style, no data-* and no hx-* attribute: htmx would act on them.
ATTRIBUTES: dict[str, set[str]] = {"*": set(), "a": {"href"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto"}
LONG_SPACES = re.compile(rf"\s{{{limits.MAX_HIGHLIGHTED_SPACES + 1}}}")
CLASSES = {"pre": {"code"}, "span": {name for name in STANDARD_TYPES.values() if name}}

# Those that `make fuzz` found no block for which takes half of a message's time. Not among them, at the allowed sizes:
# C, C++ and Perl (for ever), Java, C#, R, INI and Markdown (50 to 700 ms). Other blocks stay plain.
LANGUAGES = [
    *["python", "javascript", "typescript", "json", "yaml", "toml", "html", "xml", "css", "scss", "sql", "graphql"],
    *["bash", "console", "powershell", "make", "docker", "nginx", "diff", "protobuf", "latex"],
    *["go", "rust", "ruby", "php", "swift", "kotlin", "lua", "haskell", "elixir"],
]


def mend_bash() -> None:
    """Take out what takes for ever where a quote with \\77\\77 has no end; Make's and Docker's lexers use it too."""
    slow, quick = r"(?s)\$'(\\\\|\\[0-7]+|\\.|[^'\\])*'", r"(?s)\$'(?:\\.|[^'\\])*'"
    rules = BashLexer.tokens["data"]
    BashLexer.tokens["data"] = [(quick, *rule[1:]) if rule[0] == slow else rule for rule in rules]


def names_of(aliases: Iterable[str], file_names: Iterable[str]) -> set[str]:
    """What people call a language: its names, and the ends of its files' names."""
    return {*aliases, *(name.removeprefix("*.") for name in file_names if name.startswith("*."))}


def lexers() -> dict[str, Lexer]:
    """The lexers of LANGUAGES by each of their names, with their patterns compiled."""
    mend_bash()
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


def plain_block(code: str, language: str, attributes: str) -> str:
    """A block of code as it is. Beginning with <pre, it is taken by the parser as the whole block."""
    return f'<pre class="code"><code>{nh3.clean_text(code)}</code></pre>'


def highlighted_block(code: str, language: str, attributes: str) -> str:
    """A block of code with its tokens marked, if it may be."""
    lexer = lexer_for(code, language)
    if lexer is None:
        return plain_block(code, language, attributes)
    return f'<pre class="code"><code>{highlight(code, lexer, HtmlFormatter(nowrap=True))}</code></pre>'


def lexer_for(code: str, language: str) -> Lexer | None:
    """What marks the tokens of a block; None for unknown languages, and for blocks that might take too long."""
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
    """The Markdown of messages: CommonMark with line breaks as typed, without HTML, headings, images and tables."""
    markdown = MarkdownIt(
        "commonmark", {"html": False, "linkify": True, "breaks": True, "typographer": False, "highlight": block}
    )
    markdown.core.ruler.at("linkify", links)
    markdown.core.ruler.after("block", "fences", fences)
    markdown.enable(["linkify", "strikethrough"])
    # A heading in a message would stand between the page's own; a "---" is a line of dashes in a chat.
    markdown.disable(["heading", "lheading", "hr", "image", "html_block", "html_inline", "reference"])
    # "manage.py" is a file and not a site in Paraguay: only what has a scheme is a link, and mail addresses.
    markdown.linkify.set({"fuzzy_link": False})  # type: ignore[union-attr]
    return markdown


def fences(state: StateCore) -> None:
    """What stands behind ``` and names no language is the first line of the code: it would be shown nowhere."""
    for token in state.tokens:
        if token.type == "fence" and token.info.strip() and token.info.strip().lower() not in NAMES:
            token.content = f"{token.info.strip()}\n{token.content}"
            token.info = ""


@cache
def cleaner() -> nh3.Cleaner:
    """The last word on what may stand in a message."""
    return nh3.Cleaner(
        tags=TAGS,
        attributes=ATTRIBUTES,
        allowed_classes=CLASSES,
        url_schemes=SCHEMES,
        link_rel="nofollow noopener noreferrer ugc",
        generic_attribute_prefixes=set(),
        strip_comments=True,
    )


def renderings(source: str) -> Iterator[str]:
    """
    A message's Markdown as sanitised HTML: with its code plain, then again with its code highlighted.

    Raises Exceeded for HTML that is too large for its source, and for what is nested so deeply that the parser leaves
    out the rest; of highlighted code that is too large, nothing is yielded.
    """
    most = limits.max_html_bytes(len(source.encode()))
    tokens = parser().parse(source)
    if any(map(is_too_deep, tokens)):
        raise Exceeded("it is nested too deeply")
    html = rendered(tokens, plain_block)
    if len(html.encode()) > most:
        raise Exceeded("its HTML is too large")
    yield html
    if any(token.type == "fence" and lexer_for(token.content, token.info) for token in tokens):
        html = rendered(tokens, highlighted_block)
        if len(html.encode()) <= most:
            yield html


def is_too_deep(token: Token) -> bool:
    """Whether it opens a quote or a list that the parser leaves empty, whatever was typed there."""
    most: int = parser().options["maxNesting"]
    return token.nesting == 1 and token.type != "paragraph_open" and token.level >= most - 1


def rendered(tokens: Sequence[Token], block: Callable[[str, str, str], str]) -> str:
    """What the parser found, as sanitised HTML; `block` renders code."""
    markdown = parser(block)
    return cleaner().clean(markdown.renderer.render(tokens, markdown.options, {})).strip()


def html_of(source: bytes) -> Iterator[tuple[bytes, ...]]:
    """`renderings` as a job for a child (apps/core/bounded.py)."""
    for html in renderings(source.decode()):
        yield (html.encode(),)

"""Markdown to HTML that is safe to show to everyone."""

from functools import cache

import nh3
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

# Raise it when the same source would give other HTML; what is stored with a lower one can then be made again.
RENDERER_VERSION = 1

TAGS = {"p", "br", "em", "strong", "s", "a", "ul", "ol", "li", "blockquote", "code", "pre", "span"}
# No id, no style, no data-* and no hx-* attribute: htmx would act on them.
ATTRIBUTES: dict[str, set[str]] = {"*": set(), "a": {"href"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto"}
CLASSES = {"pre": {"code"}, "span": {name for name in STANDARD_TYPES.values() if name}}


def highlighted(code: str, language: str, attributes: str) -> str:
    """A block of code with its tokens marked, or plain where the language is not known."""
    try:
        lexer = get_lexer_by_name(language.split()[0]) if language.strip() else None
    except ClassNotFound:
        lexer = None
    inner = highlight(code, lexer, HtmlFormatter(nowrap=True)) if lexer else nh3.clean_text(code)
    # Beginning with <pre, it is taken by the parser as the whole block.
    return f'<pre class="code"><code>{inner}</code></pre>'


@cache
def parser() -> MarkdownIt:
    """The Markdown of messages: CommonMark with line breaks as typed, without HTML, headings, images and tables."""
    markdown = MarkdownIt(
        "commonmark",
        {"html": False, "linkify": True, "breaks": True, "typographer": False, "highlight": highlighted},
    )
    markdown.enable(["linkify", "strikethrough"])
    # A heading in a message would stand between the page's own; a "---" is a line of dashes in a chat.
    markdown.disable(["heading", "lheading", "hr", "image", "html_block", "html_inline", "reference"])
    # "manage.py" is a file and not a site in Paraguay: only what has a scheme is a link, and mail addresses.
    markdown.linkify.set({"fuzzy_link": False})  # type: ignore[union-attr]
    return markdown


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


def to_html(source: str) -> str:
    """A message's Markdown as sanitised HTML. At most MOST_CHARACTERS: a sanitiser's time grows with nesting."""
    return cleaner().clean(parser().render(source)).strip()

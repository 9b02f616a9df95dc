"""The one way from what someone wrote to HTML: in a child process that is limited (apps/core/bounded.py)."""

from html import escape

from apps.core import limits
from apps.core.bounded import Busy, Exceeded, Pool

# Raise it when the same source would give other HTML; what is stored with a lower one is then made again (renewal.py).
RENDERER_VERSION = 5

RENDER = "apps.chat.markdown:html_of"
pool = Pool(
    name="text",
    modules=["apps.chat.markdown"],
    children=limits.TEXT_CHILDREN,
    limits=limits.TEXT,
)


async def to_html(source: str) -> str:
    """A message's Markdown as sanitised HTML; as it was typed if that takes too long. Never holds up the event loop."""
    try:
        return text_of(await pool.run_async(RENDER, source.encode()))
    except Exceeded:
        return as_typed(source)


def to_html_now(source: str) -> str:
    """The same as `to_html`, for synchronous code."""
    try:
        return text_of(pool.run(RENDER, source.encode()))
    except Exceeded:
        return as_typed(source)


def to_html_when_free(source: str) -> str:
    """The same, for who can wait. Raises Busy where nobody could look at it just now."""
    try:
        return text_of(pool.run(RENDER, source.encode()))
    except Busy:
        raise
    except Exceeded:
        return as_typed(source)


def text_of(parts: tuple[bytes, ...]) -> str:
    """The HTML that a child returned."""
    return parts[0].decode()


def as_typed(source: str) -> str:
    """The text with its line breaks and nothing else: takes time and space in proportion to it, whatever it holds."""
    return f'<p dir="auto">{escape(source, quote=False)}</p>'.replace("\n", "<br>\n")

"""Render Markdown as HTML, always in a resource-limited child process (apps/core/bounded.py)."""

from html import escape

from apps.core import limits
from apps.core.bounded import Busy, Exceeded, Pool

# Raise it when the same source renders differently; messages with a lower version are rendered again (renewal.py).
RENDERER_VERSION = 5

RENDER = "apps.chat.markdown:html_of"
pool = Pool(
    name="text",
    modules=["apps.chat.markdown"],
    children=limits.TEXT_CHILDREN,
    limits=limits.TEXT,
)


async def to_html(source: str) -> str:
    """Return Markdown as sanitised HTML, or as plain text if that takes too long. Never blocks the event loop."""
    try:
        return text_of(await pool.run_async(RENDER, source.encode()))
    except Exceeded:
        return as_typed(source)


def to_html_now(source: str) -> str:
    """Do the same as `to_html`, for synchronous code."""
    try:
        return text_of(pool.run(RENDER, source.encode()))
    except Exceeded:
        return as_typed(source)


def to_html_when_free(source: str) -> str:
    """Do the same for a caller that can wait. Raises Busy if no child is free."""
    try:
        return text_of(pool.run(RENDER, source.encode()))
    except Busy:
        raise
    except Exceeded:
        return as_typed(source)


def text_of(parts: tuple[bytes, ...]) -> str:
    """Return the HTML from a child's result."""
    return parts[0].decode()


def as_typed(source: str) -> str:
    """Return the text with its line breaks and nothing else, in linear time and space."""
    return f'<p dir="auto">{escape(source, quote=False)}</p>'.replace("\n", "<br>\n")

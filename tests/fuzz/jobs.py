"""What the measured children do."""

import time

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from apps.chat import markdown


def measured_lexer(language: bytes, code: bytes) -> tuple[bytes]:
    """How many seconds of the processor it takes to mark the tokens of some code."""
    lexer = markdown.LEXERS.get(language.decode()) or get_lexer_by_name(language.decode())
    list(lexer.get_tokens(""))
    began = time.process_time()
    highlight(code.decode(), lexer, HtmlFormatter(nowrap=True))
    return (str(time.process_time() - began).encode(),)


def measured_markdown(source: bytes) -> tuple[bytes]:
    """How many seconds of the processor a text takes from its first byte to the plain HTML."""
    began = time.process_time()
    next(markdown.renderings(source.decode()))
    return (str(time.process_time() - began).encode(),)

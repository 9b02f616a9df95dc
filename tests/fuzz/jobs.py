"""Jobs that run in the measured child processes."""

import sys
import time

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from apps.chat import markdown
from apps.chat.languages import LEXERS


def measured_lexer(language: bytes, code: bytes) -> tuple[bytes]:
    """The processor seconds that highlighting some code takes."""
    lexer = LEXERS.get(language.decode()) or get_lexer_by_name(language.decode())
    list(lexer.get_tokens(""))
    began = time.process_time()
    highlight(code.decode(), lexer, HtmlFormatter(nowrap=True))
    return (str(time.process_time() - began).encode(),)


def imported_by_highlighting(*languages: bytes) -> tuple[bytes, ...]:
    """The modules that rendering some code of each language imports."""
    before = set(sys.modules)
    for language in languages:
        list(markdown.html_of(f"```{language.decode()}\na = 1; <a> 'b' /* c */ # d\n```".encode()))
    return tuple(name.encode() for name in sorted(set(sys.modules) - before))

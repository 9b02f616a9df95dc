"""A request's content type decides only where a form's parts begin."""

import asyncio
import logging
from typing import Any

import pytest
from django.core.asgi import get_asgi_application

from apps.core.content_types import as_our_pages_write_it
from apps.core.origins import as_the_site_is_reached

pytestmark = pytest.mark.django_db(transaction=True)

# As in config/asgi.py, which would also start a server's background work.
pages = as_our_pages_write_it(as_the_site_is_reached(get_asgi_application()))

FORM = b'--X\r\nContent-Disposition: form-data; name="body"\r\n\r\nZwei W\xc3\xb6rter \\ud800\r\n--X--\r\n'


def posted(content_type: str) -> tuple[int, str]:
    """The status and page for a stranger's form sent to an unknown address."""
    headers = [(b"host", b"testserver"), (b"content-length", str(len(FORM)).encode())]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": "/nothing/",
        "query_string": b"",
        "headers": [*headers, (b"content-type", content_type.encode("latin-1"))],
        "client": ["127.0.0.1", 1],
        "server": ["testserver", 80],
    }
    sent: list[dict[str, Any]] = []
    bodies = [{"type": "http.request", "body": FORM, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not bodies:
            await asyncio.Event().wait()
        return bodies.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(pages(scope, receive, send))
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent).decode()


@pytest.mark.parametrize(
    "parameter",
    [
        "charset=zlib",
        "charset=undefined",
        "charset=raw_unicode_escape",
        "charset=utf-16",
        "CharSet=zlib",
        "charset*=zlib''x",
        'charset="zlib"',
        "charset=x; charset=zlib",
        "charset=\x00",
        "x*=nope''x",
    ],
)
def test_the_codec_named_by_a_form_is_ignored(parameter: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status, page = posted(f"multipart/form-data; {parameter}; boundary=X")
    assert status == 404
    assert "Zwei Wörter \\ud800</textarea>" in page
    assert not caplog.records


def test_a_form_may_declare_utf_8() -> None:
    status, page = posted('multipart/form-data; charset="UTF-8"; boundary="X"')
    assert (status, "Zwei Wörter" in page) == (404, True)

"""Sanitised Content-Type headers."""

from typing import Any

from asgiref.sync import markcoroutinefunction


def as_our_pages_write_it(application: Any) -> Any:
    """
    Wrap the ASGI application so that it decodes every form as UTF-8, which is what our pages send.

    Django would decode a form with any Python codec that the Content-Type names. Some can't decode text at all, which
    breaks every page, even the error page; others produce lone surrogates, which no database stores and no page can
    show. An unreadable parameter causes an error before any view runs.
    """

    def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        headers = scope["headers"]
        if any(name == b"content-type" and b";" in value for name, value in headers):
            headers = [(name, plain(value) if name == b"content-type" else value) for name, value in headers]
            scope = scope | {"headers": headers}
        return application(scope, receive, send)

    return markcoroutinefunction(wrapped)


def plain(content_type: bytes) -> bytes:
    """Return the Content-Type without parameters other than the multipart boundary."""
    kind, *parameters = content_type.split(b";")
    boundaries = [one for one in parameters if one.strip().lower().startswith(b"boundary=")]
    return b";".join([kind, *boundaries])

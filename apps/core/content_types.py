"""What a request says its body is."""

from typing import Any

from asgiref.sync import markcoroutinefunction


def as_our_pages_write_it(application: Any) -> Any:
    """
    The ASGI application of pages, which are in UTF-8, and so is what their forms send.

    Django would read a form by whatever codec of Python's the Content-Type names. By some no text can be read, which
    is an error on every page, the one for errors too; by others one gets halves of characters, which no database takes
    and no page can show. What cannot be read as a parameter is an error before any page is asked.
    """

    def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        headers = scope["headers"]
        if any(name == b"content-type" and b";" in value for name, value in headers):
            headers = [(name, plain(value) if name == b"content-type" else value) for name, value in headers]
            scope = scope | {"headers": headers}
        return application(scope, receive, send)

    return markcoroutinefunction(wrapped)


def plain(content_type: bytes) -> bytes:
    """A Content-Type with no other parameter than the one that divides a form's parts."""
    kind, *parameters = content_type.split(b";")
    boundaries = [one for one in parameters if one.strip().lower().startswith(b"boundary=")]
    return b";".join([kind, *boundaries])

"""Responses written to a connection before Django has seen the request."""


def raw_answer(status: bytes, content_type: bytes, body: bytes) -> bytes:
    """Return a complete HTTP response that closes the connection."""
    return b"\r\n".join(
        [
            b"HTTP/1.1 " + status,
            b"Content-Type: " + content_type + b"; charset=utf-8",
            b"X-Content-Type-Options: nosniff",
            b"Cache-Control: no-store",
            b"Content-Length: %d" % len(body),
            b"Connection: close",
            b"",
            body,
        ]
    )

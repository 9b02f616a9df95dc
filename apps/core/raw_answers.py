"""Answers that are written to a connection before Django has heard of the request."""


def raw_answer(status: bytes, content_type: bytes, body: bytes) -> bytes:
    """A whole HTTP answer, after which the connection is closed."""
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

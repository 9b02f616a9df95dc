"""
Bodies of requests, bounded before they cost anything.

Twisted reads a whole body, and parses a form in it on the event loop, before Daphne or Django learn of the request:
one anonymous POST of 100 MB held up everybody for 11 seconds and took 1.3 GB. Daphne has no limit of its own
(django/daphne#226), so this sets one where Twisted learns the length.
"""

from tempfile import SpooledTemporaryFile
from typing import Any

from daphne import http_protocol
from daphne.http_protocol import WebRequest

from apps.core import limits
from apps.core.raw_answers import raw_answer

# Paths that take a file, from those who have a session; all else has at most MAX_BODY_BYTES.
LARGER: dict[bytes, int] = {b"/accounts/profile/picture/": limits.MAX_PICTURE_BYTES + limits.MAX_BODY_BYTES}

# The page of the site itself needs Django, which has not heard of the request yet.
TEXT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Too large - Parley</title></head>
<body><main><h1>That was more than this site takes at once</h1>
<p>Nothing of it is stored. Go back and send less: a shorter text, or a smaller picture (5 MB at most).</p>
<p><a href="/">Your rooms</a></p></main></body></html>
"""
REFUSAL = raw_answer(b"413 Content Too Large", b"text/html", TEXT)


class BoundedRequest(WebRequest):
    """A request whose body is refused by its length, counted when it has none, and parsed by Django only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django parses forms itself, once it knows whose they are. Only the instance's own value counts.
        self._parsePOSTFormSubmission = False
        self.left = limits.MAX_BODY_BYTES
        self.is_refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802  # Twisted's name
        """The headers have come: refuse a body that is too long."""
        path: bytes = getattr(self.channel, "_path", b"").partition(b"?")[0]
        has_session = b"sessionid=" in self.requestHeaders.getRawHeaders(b"cookie", [b""])[0]
        self.left = LARGER.get(path, limits.MAX_BODY_BYTES) if has_session else limits.MAX_BODY_BYTES
        super().gotLength(0)
        if length is None or length > limits.MAX_BODY_BYTES_IN_MEMORY:
            # Twisted would open a file for each at once, whatever comes.
            self.content = SpooledTemporaryFile(max_size=limits.MAX_BODY_BYTES_IN_MEMORY)  # noqa: SIM115  # closed with the request
        if length is not None and length > self.left:
            self.refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802  # Twisted's name
        """A part of the body has come; one that did not say how long it is may be too long after all."""
        if self.is_refused:
            return
        self.left -= len(data)
        if self.left < 0:
            self.refuse()
        else:
            super().handleContentChunk(data)

    def refuse(self) -> None:
        """Say why, and take no more."""
        self.is_refused = True
        self.channel.transport.write(REFUSAL)
        self.channel.loseConnection()

    def requestReceived(self, *arguments: bytes) -> None:  # noqa: N802  # Twisted's name
        """All of it has come; what was refused ends here."""
        if not self.is_refused:
            super().requestReceived(*arguments)


def bound_bodies() -> None:
    """Have Daphne read requests like this. Call it before the server runs."""
    # Its factory looks the class up by this name for each connection, and offers no other way.
    http_protocol.WebRequest = BoundedRequest

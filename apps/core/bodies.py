"""
Limits on request bodies, enforced before they cost anything.

Twisted reads a whole body, and parses forms on the event loop, before Daphne or Django hear of the request: one
anonymous POST of 100 MB blocked everyone for 11 seconds and took 1.3 GB. Daphne has no limit of its own
(django/daphne#226), so this sets one as soon as Twisted knows the length.
"""

from tempfile import SpooledTemporaryFile
from typing import Any

from daphne import http_protocol
from daphne.http_protocol import WebRequest

from apps.core import limits
from apps.core.raw_answers import raw_answer

# Paths that accept files from clients with a session cookie; all others are limited to MAX_BODY_BYTES.
LARGER: dict[bytes, int] = {b"/accounts/profile/picture/": limits.MAX_PICTURE_BYTES + limits.MAX_BODY_BYTES}

# Static: the site's own error page needs Django, which hasn't seen the request yet.
TEXT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Too large - Parley</title></head>
<body><main><h1>That was more than this site takes at once</h1>
<p>Nothing of it is stored. Go back and send less: a shorter text, or a smaller picture (5 MB at most).</p>
<p><a href="/">Your rooms</a></p></main></body></html>
"""
REFUSAL = raw_answer(b"413 Content Too Large", b"text/html", TEXT)


class BoundedRequest(WebRequest):
    """A request that refuses a body that is too long, by its declared or counted length; only Django parses it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django parses forms later, with the user known. Twisted reads this from the instance.
        self._parsePOSTFormSubmission = False
        self.left = limits.MAX_BODY_BYTES
        self.is_refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802  # Twisted's name
        """Refuse a body whose declared length is too long, once the headers are in."""
        path: bytes = getattr(self.channel, "_path", b"").partition(b"?")[0]
        has_session = b"sessionid=" in self.requestHeaders.getRawHeaders(b"cookie", [b""])[0]
        self.left = LARGER.get(path, limits.MAX_BODY_BYTES) if has_session else limits.MAX_BODY_BYTES
        super().gotLength(0)
        if length is None or length > limits.MAX_BODY_BYTES_IN_MEMORY:
            # Twisted would open a temporary file for each one immediately.
            self.content = SpooledTemporaryFile(max_size=limits.MAX_BODY_BYTES_IN_MEMORY)  # noqa: SIM115  # closed with the request
        if length is not None and length > self.left:
            self.refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802  # Twisted's name
        """Count the body's bytes: one without a declared length may still turn out too long."""
        if self.is_refused:
            return
        self.left -= len(data)
        if self.left < 0:
            self.refuse()
        else:
            super().handleContentChunk(data)

    def refuse(self) -> None:
        """Respond with 413 and stop reading."""
        self.is_refused = True
        self.channel.transport.write(REFUSAL)
        self.channel.loseConnection()

    def requestReceived(self, *arguments: bytes) -> None:  # noqa: N802  # Twisted's name
        """Pass the complete request on, unless it was refused."""
        if not self.is_refused:
            super().requestReceived(*arguments)


def bound_bodies() -> None:
    """Make Daphne use BoundedRequest. Call this before the server runs."""
    # Daphne's factory looks the class up by this name for each connection; there is no other hook.
    http_protocol.WebRequest = BoundedRequest

"""
Limits on the time and number of connections.

Twisted allows a minute for each byte of a request, and Daphne accepts connections until the process has no file
descriptor left for its database: 1,200 half-sent requests stopped the site. Here a request must be complete in time, a
body needs a minimum speed, and at capacity the connections waiting longest for the rest of a request are closed first.
A WebSocket that floods its process with frames is closed before they cost anything.
"""

import logging
import resource
import time
from typing import Any

from autobahn.websocket import protocol as websocket_protocol
from daphne import http_protocol, ws_protocol
from daphne.ws_protocol import WebSocketProtocol
from django.conf import settings
from twisted.web import http

from apps.core import limits
from apps.core.addresses import network_of, read_address
from apps.core.buckets import Bucket
from apps.core.raw_answers import raw_answer

logger = logging.getLogger(__name__)

TOO_LATE = raw_answer(
    b"408 Request Timeout", b"text/plain", b"The request did not arrive in time. Please send it again.\n"
)
# Close code after which a page stays away (docs/architecture.md).
TOO_MUCH = 4429
HTTPChannel: Any = http.HTTPChannel
CONTROL = 8  # first opcode of control frames such as ping (RFC 6455, 5.5)


def unread_of(transport: Any) -> int:
    """Return how many bytes Twisted buffers for a client that doesn't read."""
    # Private, but stable since Twisted's early days; its public signals only say that some threshold was crossed.
    waiting: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return waiting


class Crowd:
    """All connections of this process, and those waiting for (the rest of) a request, oldest first."""

    def __init__(self) -> None:
        self.capacity = 1
        self.open = 0
        self.sockets = 0
        self.waiting: dict[Channel, None] = {}
        self.half_sent: dict[str, dict[Channel, None]] = {}
        self.said_at = 0.0

    def has_room(self, *, kept: int = 0) -> bool:
        """Return whether the newest connection may stay, closing another if needed; `kept` places are reserved."""
        if kept and self.sockets > self.capacity - kept:
            return False
        if self.open <= self.capacity - kept:
            return True
        oldest = next(iter(self.waiting), None)
        if oldest:
            oldest.cut()
        if time.monotonic() - self.said_at > 60:
            self.said_at = time.monotonic()
            done = "the oldest that waits is closed" if oldest else "the newest is closed"
            logger.warning("%d connections are open, as many as this process takes: %s", self.open, done)
        return oldest is not None

    def wait(self, channel: "Channel", *, is_half_sent: bool) -> None:
        """Register a waiting connection. If its network has too many half-sent requests, close the oldest of those."""
        self.go_on(channel)
        self.waiting[channel] = None
        # Behind a proxy all clients share its address; the proxy forwards no half-sent requests.
        if is_half_sent and not settings.TRUSTED_PROXY_COUNT:
            those = self.half_sent.setdefault(channel.network, {})
            those[channel] = None
            oldest = next(iter(those))
            if len(those) > limits.MAX_HALF_SENT and oldest.age > limits.HALF_SENT_SECONDS:
                oldest.cut()

    def go_on(self, channel: "Channel") -> None:
        """Unregister a connection that is no longer waiting."""
        self.waiting.pop(channel, None)
        if those := self.half_sent.get(channel.network):
            those.pop(channel, None)
            if not those:
                del self.half_sent[channel.network]


crowd = Crowd()


class Channel(HTTPChannel):
    """An HTTP connection whose requests must each be complete in time."""

    # What the connection waits for: nothing, the next request, the end of the headers, or the end of the body.
    HANDLING, IDLE, HEADERS, BODY = range(4)
    stage = HANDLING
    network = ""
    began = 0.0
    due = 0.0
    unread = 0

    def connectionMade(self) -> None:  # noqa: N802  # Twisted's names, here and below
        super().connectionMade()
        peer = getattr(self.transport.getPeer(), "host", "")
        self.network = network_of(read_address(str(peer)) or "")
        crowd.open += 1
        self.wait(self.HEADERS, limits.HEADERS_SECONDS)
        if not crowd.has_room():
            self.cut()

    def wait(self, stage: int, seconds: float) -> None:
        """Start waiting for this stage, with a timeout."""
        self.stage = stage
        self.began = time.monotonic()
        # Cancelled first: Twisted only marks a cancelled timer, but to move one earlier it searches all timers.
        self.setTimeout(None)
        self.setTimeout(seconds)
        crowd.wait(self, is_half_sent=stage == self.HEADERS)

    @property
    def age(self) -> float:
        """Return how many seconds it has waited."""
        return time.monotonic() - self.began

    def resetTimeout(self) -> None:  # noqa: N802
        """Do nothing: the timeout is not extended by each byte received."""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.stage == self.IDLE:
            self.wait(self.HEADERS, limits.HEADERS_SECONDS)
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:  # noqa: N802
        super().allHeadersReceived()
        if self.length != 0:
            self.stage = self.BODY
            self.due = time.monotonic() + limits.BODY_SECONDS
            self.setTimeout(limits.BODY_SECONDS)

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        later = self.due + len(data) / limits.BODY_BYTES_PER_SECOND
        self.due = min(later, time.monotonic() + limits.BODY_PAUSE_SECONDS)
        super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802
        self.stage = self.HANDLING
        self.setTimeout(None)
        crowd.go_on(self)
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:  # noqa: N802
        # First, since Twisted may start the next request immediately. It would also set a timeout of its own.
        self._savedTimeOut = None
        self.unread = unread_of(self.transport)
        if self.unread > limits.MAX_UNREAD_ANSWER_BYTES:
            # Responses to pipelined requests would pile up in memory, so close after this one.
            self.persistent = False
        self.wait(self.IDLE, limits.IDLE_SECONDS)
        super().requestDone(request)

    def timeoutConnection(self) -> None:  # noqa: N802
        if self.stage == self.BODY:
            if (left := self.due - time.monotonic()) > 0:
                self.setTimeout(left)
                return
        elif self.stage == self.IDLE:
            before, self.unread = self.unread, unread_of(self.transport)
            # A slow phone is still reading the last response.
            if 0 < self.unread < before:
                self.setTimeout(limits.IDLE_SECONDS)
                return
        crowd.go_on(self)
        # Not to idle connections: some browsers would take it for the response to their next request.
        if self.stage in {self.HEADERS, self.BODY} and self.requests:
            self.transport.write(TOO_LATE)
        super().timeoutConnection()

    def cut(self) -> None:
        """Close the connection to make room for others."""
        crowd.go_on(self)
        self.transport.abortConnection()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        crowd.open -= 1
        crowd.go_on(self)
        super().connectionLost(reason)


class Socket(WebSocketProtocol):
    """A WebSocket that is closed when it sends more frames than any page would."""

    def connectionMade(self) -> None:  # noqa: N802
        super().connectionMade()
        self.messages = Bucket(rate=limits.MESSAGES_PER_SECOND, capacity=limits.MAX_MESSAGES_AT_ONCE)
        self.others = Bucket(rate=limits.CONTROLS_PER_SECOND, capacity=limits.MAX_CONTROLS_AT_ONCE)
        self.is_ignored = False
        crowd.sockets += 1
        if not crowd.has_room(kept=limits.KEPT_FOR_PAGES):
            self.transport.abortConnection()

    def onFrameBegin(self) -> None:  # noqa: N802
        super().onFrameBegin()
        opcode = self.current_frame.opcode
        # Continuation frames (opcode 0) may be empty, and there is no limit to their number.
        if opcode == 0 or opcode >= CONTROL:
            if self.others.take():
                self.give_up()
        elif self.messages.take():
            self.overflow()

    def overflow(self) -> None:
        """Stop reading: the consumer is about to notice the flood too, and closes with an explanation."""
        if not self.is_ignored:
            self.is_ignored = True
            self.transport.pauseProducing()
            self.factory.reactor.callLater(limits.LAST_WORDS_SECONDS, self.give_up)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        if not self.is_ignored:
            super().onMessage(payload, isBinary)

    def give_up(self) -> None:
        """Close without waiting for a reply: until one came, buffered frames would still be read."""
        if self.state != self.STATE_CLOSED:
            logger.info("A socket that sent too many frames was closed")
            if self.state == self.STATE_OPEN:
                self.sendCloseFrame(code=TOO_MUCH)
            self.dropConnection()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        crowd.open -= 1
        crowd.sockets -= 1
        super().connectionLost(reason)


def raise_limit_of_descriptors() -> int:
    """Raise the soft limit on open files and sockets; return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, limits.MAX_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError) as error:
        logger.warning("This process may open %d files and sockets, and no more: %s", soft, error)
        return soft
    return wanted


def channel_of(factory: Any) -> Any:
    """Return what Twisted creates for each connection, with our channel inside."""
    return http._GenericHTTPChannelProtocol(Channel())


def bound_connections() -> None:
    """Make Daphne use these classes. Call this before the server runs."""
    descriptors = raise_limit_of_descriptors()
    # The rest is left for files, the database and Redis.
    crowd.capacity = descriptors - min(limits.KEPT_DESCRIPTORS, descriptors // 4)
    # Daphne's factories look these up for each connection; there is no other hook.
    http_protocol.HTTPFactory.protocol = channel_of
    ws_protocol.WebSocketFactory.protocol = Socket
    # It pretty-prints all settings of each new socket for a debug log: 5 % of the time to reconnect a page.
    websocket_protocol.pformat = repr  # type: ignore[attr-defined, assignment]

"""
Connections, bounded in time and number.

Twisted waits a minute for each byte of a request, and Daphne takes connections until the process has no descriptor
left for its database: 1,200 requests of which half was sent stopped everybody. Here a request has to be whole in time,
a body has to come at some speed, and where it gets crowded those go first that have waited longest for the rest of a
request. A socket that floods its process with frames is closed before they cost anything.
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
# The code after which a page stays away (docs/architecture.md).
TOO_MUCH = 4429
HTTPChannel: Any = http.HTTPChannel
CONTROL = 8  # the first opcode of frames like ping (RFC 6455, 5.5)


def unread_of(transport: Any) -> int:
    """How many bytes Twisted holds back for a client that does not read."""
    # Private, but as old as Twisted; its public signals say only that some limit was crossed.
    waiting: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return waiting


class Crowd:
    """All connections of this process, and those among them that wait for the rest of a request, oldest first."""

    def __init__(self) -> None:
        self.capacity = 1
        self.open = 0
        self.sockets = 0
        self.waiting: dict[Channel, None] = {}
        self.half_sent: dict[str, dict[Channel, None]] = {}
        self.said_at = 0.0

    def has_room(self, *, kept: int = 0) -> bool:
        """Whether the newest connection may stay; perhaps another goes for it. Some places are kept for others."""
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
        """This one waits, from now on. Of an address with too many halves of requests the oldest goes."""
        self.go_on(channel)
        self.waiting[channel] = None
        # Through a proxy all have its address; it sends no half of a request.
        if is_half_sent and not settings.TRUSTED_PROXY_COUNT:
            those = self.half_sent.setdefault(channel.network, {})
            those[channel] = None
            oldest = next(iter(those))
            if len(those) > limits.MAX_HALF_SENT and oldest.age > limits.HALF_SENT_SECONDS:
                oldest.cut()

    def go_on(self, channel: "Channel") -> None:
        """This one does not wait any more."""
        self.waiting.pop(channel, None)
        if those := self.half_sent.get(channel.network):
            those.pop(channel, None)
            if not those:
                del self.half_sent[channel.network]


crowd = Crowd()


class Channel(HTTPChannel):
    """A connection over which requests come, each of which has to be whole in time."""

    # What it waits for: nothing, the next request, the end of the headers, or that of the body.
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
        """Wait for this, so long."""
        self.stage = stage
        self.began = time.monotonic()
        # A timer that shall come sooner Twisted looks for among all; one that is given up it only marks.
        self.setTimeout(None)
        self.setTimeout(seconds)
        crowd.wait(self, is_half_sent=stage == self.HEADERS)

    @property
    def age(self) -> float:
        """For how many seconds it has waited."""
        return time.monotonic() - self.began

    def resetTimeout(self) -> None:  # noqa: N802
        """Not with each byte that comes."""

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
        # First: Twisted may go on with the next request at once. It would also set a time of its own.
        self._savedTimeOut = None
        self.unread = unread_of(self.transport)
        if self.unread > limits.MAX_UNREAD_ANSWER_BYTES:
            # What was asked for behind this would be answered into memory: the connection ends with this answer.
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
            # A phone with little signal still reads the last answer.
            if 0 < self.unread < before:
                self.setTimeout(limits.IDLE_SECONDS)
                return
        crowd.go_on(self)
        # Some browsers would show it as the answer to what they send next, so not to those that are idle.
        if self.stage in {self.HEADERS, self.BODY} and self.requests:
            self.transport.write(TOO_LATE)
        super().timeoutConnection()

    def cut(self) -> None:
        """Make room for others."""
        crowd.go_on(self)
        self.transport.abortConnection()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        crowd.open -= 1
        crowd.go_on(self)
        super().connectionLost(reason)


class Socket(WebSocketProtocol):
    """A socket that is closed when it sends frames without end, of a kind that no page sends in such numbers."""

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
        # A piece of a message (opcode 0) may be empty, and there may be pieces without end.
        if opcode == 0 or opcode >= CONTROL:
            if self.others.take():
                self.give_up()
        elif self.messages.take():
            self.overflow()

    def overflow(self) -> None:
        """Too many messages: read no more, since the consumer is about to find that too, and says more about it."""
        if not self.is_ignored:
            self.is_ignored = True
            self.transport.pauseProducing()
            self.factory.reactor.callLater(limits.LAST_WORDS_SECONDS, self.give_up)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        if not self.is_ignored:
            super().onMessage(payload, isBinary)

    def give_up(self) -> None:
        """Close, without waiting for an answer: what has come already would be read until then."""
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
    """Let this process have as many files and sockets open as the system lets it; gives how many that is."""
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
    """What Twisted makes for each connection, with our channel in it."""
    return http._GenericHTTPChannelProtocol(Channel())


def bound_connections() -> None:
    """Have Daphne take connections like this. Call it before the server runs."""
    descriptors = raise_limit_of_descriptors()
    # The rest is for files, the database and Redis.
    crowd.capacity = descriptors - min(limits.KEPT_DESCRIPTORS, descriptors // 4)
    # Its factories look these up for each connection, and offer no other way.
    http_protocol.HTTPFactory.protocol = channel_of
    ws_protocol.WebSocketFactory.protocol = Socket
    # It lays out all settings of each new socket for a log of debugging, and so took a twentieth of a page's return.
    websocket_protocol.pformat = repr  # type: ignore[attr-defined, assignment]

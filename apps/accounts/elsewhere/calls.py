"""
HTTP requests to providers, limited in total time, size and number.

`requests` limits pauses in a response, but not the response: a provider sending one byte a second would block a page
for as long as it likes, and an endless response would fill the memory.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any

from django.db import connections
from requests import PreparedRequest, RequestException, Response, Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.connection import create_connection

from apps.accounts.elsewhere import answers
from apps.core import limits

CHUNK_BYTES = 16 * 1024


class CallError(RequestException):
    """A request that was cut off or never sent. django-allauth handles it like its own errors."""


class Watch:
    """Shuts a connection down on a deadline, whatever it is waiting for: DNS, TLS, slow headers or a slow body."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.is_over = False
        self.kept: list[socket.socket] = []

    def left(self) -> float:
        """Return the seconds left; never 0, which means non-blocking for sockets."""
        return max(0.01, self.end - time.monotonic())

    def keep(self, made: socket.socket) -> None:
        """Register a socket to shut down. TLS detaches the original, so keep a duplicate of it."""
        self.kept.append(made.dup())

    def stop(self) -> None:
        """Shut everything down; called by the timer, in its own thread."""
        self.is_over = True
        for one in self.kept:
            with suppress(OSError):  # already closed by the other side
                one.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Enforce the deadline. Raises CallError if it passed, whatever exception that caused inside."""
        timer = threading.Timer(self.left(), self.stop)
        timer.daemon = True
        timer.start()
        token = _watch.set(self)
        try:
            yield
        except (RequestException, HTTPError):
            if not self.is_over:
                raise
        finally:
            _watch.reset(token)
            timer.cancel()
            for one in self.kept:
                one.close()
        if self.is_over:
            raise CallError("it took too long")


_watch: ContextVar[Watch] = ContextVar("watch")
_end: ContextVar[float | None] = ContextVar("end", default=None)


@contextmanager
def one_exchange() -> Iterator[None]:
    """Let all requests inside share limits.PROVIDER_SECONDS."""
    token = _end.set(time.monotonic() + limits.PROVIDER_SECONDS)
    try:
        yield
    finally:
        _end.reset(token)


def seconds_left() -> float:
    """Return the seconds left in the exchange, or for a single request. Raises CallError if there are none."""
    end = _end.get()
    left = limits.PROVIDER_SECONDS if end is None else end - time.monotonic()
    if left <= 0:
        raise CallError("it took too long")
    return left


class Watched:
    """A connection that the current Watch can shut down."""

    def _new_conn(self: Any) -> socket.socket:
        watch = _watch.get()
        # Within the deadline for all addresses of a name; urllib3 might try a hundred of them one after the other.
        for *_kind, address in socket.getaddrinfo(self._dns_host, self.port, 0, socket.SOCK_STREAM):
            seconds = min(limits.PROVIDER_CONNECT_SECONDS, watch.left())
            try:
                made = create_connection(
                    (str(address[0]), self.port), timeout=seconds, socket_options=self.socket_options
                )
            except OSError as error:
                if watch.is_over:
                    raise TimeoutError from error
                failure = error
                continue
            watch.keep(made)
            return made
        raise failure


class WatchedHTTP(Watched, HTTPConnection):
    """A watched HTTP connection."""


class WatchedHTTPS(Watched, HTTPSConnection):
    """A watched HTTPS connection."""


class HTTPPool(HTTPConnectionPool):
    ConnectionCls = WatchedHTTP


class HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = WatchedHTTPS


class Adapter(HTTPAdapter):
    """Creates such connections, directly or through a proxy from the environment."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}
        return manager


class Answer(Response):
    """A response that has been read in full, with validated JSON."""

    def json(self, **kwargs: Any) -> Any:
        """Parse and validate the JSON. Raises BadAnswerError."""
        return answers.document(self.content)


class ProviderSession(Session):
    """The session for django-allauth's requests to providers of any kind. Raises only RequestException."""

    def __init__(self) -> None:
        super().__init__()
        # Otherwise the system's netrc would replace the token with a password of its own.
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # A few KB could unpack to gigabytes.
        self.headers["Accept-Encoding"] = "identity"
        self.mount("https://", Adapter())
        self.mount("http://", Adapter())

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """Send a request. Turns every error into CallError: those of requests reveal URLs, or aren't its own."""
        try:
            return super().request(*args, **kwargs)
        except CallError:
            raise
        except (HTTPError, HTTPException, OSError, ValueError) as error:  # RequestException is an OSError
            raise CallError(f"it cannot be asked ({type(error).__name__})") from error

    def get_redirect_target(self, resp: Response) -> None:
        """Follow no redirects: the response must come from the configured host, and never from the internal network."""

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send a request and return the complete response. Raises RequestException."""
        count_one_more()
        let_go_of_the_database()
        watch = Watch(seconds_left())
        kwargs |= {"stream": True, "allow_redirects": False}
        kwargs["timeout"] = (min(limits.PROVIDER_CONNECT_SECONDS, watch.left()), watch.left())
        with watch.running():
            response = super().send(request, **kwargs)
            try:
                body = read(response)
            finally:
                response.close()
        if 300 <= response.status_code < 400:
            raise CallError(f"it leads elsewhere ({response.status_code}), which is not followed")
        response._content = body
        response.__class__ = Answer
        # Otherwise it would be guessed, which is slow for long texts.
        response.encoding = "utf-8"
        response.headers.setdefault("Content-Type", "application/octet-stream")
        return response


def read(response: Response) -> bytes:
    """Return the body. Raises RequestException if it is too long."""
    body = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > limits.MAX_PROVIDER_ANSWER_BYTES:
            raise CallError("its answer is too long")
    return bytes(body)


def let_go_of_the_database() -> None:
    """Close the database connection while this page waits, so that others can use it."""
    for one in connections.all(initialized_only=True):
        if not one.in_atomic_block:
            one.close()


_calls: deque[float] = deque()
_calls_lock = threading.Lock()


def count_one_more() -> None:
    """Raise CallError if this process has sent too many requests in the last minute."""
    now = time.monotonic()
    with _calls_lock:
        while _calls and _calls[0] < now - 60:
            _calls.popleft()
        if len(_calls) >= limits.PROVIDER_CALLS_PER_MINUTE:
            raise CallError("it has been asked too often in the last minute")
        _calls.append(now)


def connects(host: str, port: int) -> bool:
    """Return whether anything accepts connections there."""
    try:
        seconds = min(limits.PROVIDER_CONNECT_SECONDS, seconds_left())
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError:  # includes CallError
        return False
    return True

"""
Questions to providers over HTTP, each with an end: of time in all, of size, and of number.

`requests` limits the pauses of an answer, not the answer; a provider that sends one byte a second would hold a page
for as long as it likes, and one that sends without end would fill the memory.
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
    """A question that was ended, or never asked. django-allauth tells it as any other of its kind."""


class Watch:
    """Ends a connection at its time, whatever it waits for: names, TLS, headers that drip, a body that drips."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.is_over = False
        self.kept: list[socket.socket] = []

    def left(self) -> float:
        """Seconds; never none, since to a socket 0 means something else."""
        return max(0.01, self.end - time.monotonic())

    def keep(self, made: socket.socket) -> None:
        """Shut this one down too. TLS takes the socket itself away, so another handle of it is kept."""
        self.kept.append(made.dup())

    def stop(self) -> None:
        """Called by the timer, from its own thread."""
        self.is_over = True
        for one in self.kept:
            with suppress(OSError):  # the other side was faster
                one.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Raises CallError where time was up, whatever it looked like from within."""
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
    """All questions within share limits.PROVIDER_SECONDS."""
    token = _end.set(time.monotonic() + limits.PROVIDER_SECONDS)
    try:
        yield
    finally:
        _end.reset(token)


def seconds_left() -> float:
    """Of the exchange, or for one question that belongs to none. Raises CallError where there are none."""
    end = _end.get()
    left = limits.PROVIDER_SECONDS if end is None else end - time.monotonic()
    if left <= 0:
        raise CallError("it took too long")
    return left


class Watched:
    """A connection that the present Watch can end."""

    def _new_conn(self: Any) -> socket.socket:
        watch = _watch.get()
        # Of each address of a name; urllib3 would try a hundred of them one after the other.
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
    """Over HTTP."""


class WatchedHTTPS(Watched, HTTPSConnection):
    """Over TLS."""


class HTTPPool(HTTPConnectionPool):
    ConnectionCls = WatchedHTTP


class HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = WatchedHTTPS


class Adapter(HTTPAdapter):
    """Makes such connections, straight or through a proxy of the environment."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}
        return manager


class Answer(Response):
    """An answer that has been read, and whose JSON is looked at before anybody gets it."""

    def json(self, **kwargs: Any) -> Any:
        """Raises BadAnswerError."""
        return answers.document(self.content)


class ProviderSession(Session):
    """What django-allauth asks providers with, of whatever kind they are. Raises RequestException and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        # Else a netrc file of the system would send its password, in place of the token.
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # A few KB that unfold to gigabytes are not worth what they save.
        self.headers["Accept-Encoding"] = "identity"
        self.mount("https://", Adapter())
        self.mount("http://", Adapter())

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """As requests has it. Raises CallError, whatever happens: requests' own tell addresses, and lets others by."""
        try:
            return super().request(*args, **kwargs)
        except CallError:
            raise
        except (HTTPError, HTTPException, OSError, ValueError) as error:  # a RequestException is an OSError
            raise CallError(f"it cannot be asked ({type(error).__name__})") from error

    def get_redirect_target(self, resp: Response) -> None:
        """None is followed: an answer comes from whom the operator named, and not from within the operator's net."""

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """The whole answer. Raises RequestException."""
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
        # Else guessed, which takes long for a long text.
        response.encoding = "utf-8"
        response.headers.setdefault("Content-Type", "application/octet-stream")
        return response


def read(response: Response) -> bytes:
    """The answer's body. Raises RequestException where it is too long."""
    body = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > limits.MAX_PROVIDER_ANSWER_BYTES:
            raise CallError("its answer is too long")
    return bytes(body)


def let_go_of_the_database() -> None:
    """Give the connection back while this page waits: others of the site need it."""
    for one in connections.all(initialized_only=True):
        if not one.in_atomic_block:
            one.close()


_calls: deque[float] = deque()
_calls_lock = threading.Lock()


def count_one_more() -> None:
    """Raises CallError where this process has asked too much in the last minute."""
    now = time.monotonic()
    with _calls_lock:
        while _calls and _calls[0] < now - 60:
            _calls.popleft()
        if len(_calls) >= limits.PROVIDER_CALLS_PER_MINUTE:
            raise CallError("it has been asked too often in the last minute")
        _calls.append(now)


def connects(host: str, port: int) -> bool:
    """Whether somebody answers there at all."""
    try:
        seconds = min(limits.PROVIDER_CONNECT_SECONDS, seconds_left())
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError:  # CallError is one
        return False
    return True

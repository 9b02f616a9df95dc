"""A network path to a site that can break like networks and proxies do."""

import re
import signal
import socket
import threading
from contextlib import suppress
from typing import Literal, cast

from tests.servers import Postgres, Site, free_port

# open; nothing gets through; no socket gets through; a proxy whose server is down; a proxy that times out waiting for
# the answer; a captive portal's sign-in page; all data is swallowed; only the server's answers are swallowed.
State = Literal["open", "lost", "no sockets", "bad gateway", "late", "portal", "silent", "deaf"]
BROKEN: tuple[State, ...] = ("lost", "no sockets", "bad gateway", "late", "portal", "silent", "deaf")
# In these, open connections stay open, and no one learns why no answer arrives.
SWALLOWING = {"silent", "deaf"}


def page(status: str, text: str) -> bytes:
    """An answer as a proxy sends it."""
    body = f"<html>\r\n<head><title>{text}</title></head>\r\n<body>\r\n<h1>{text}</h1>\r\n</body>\r\n</html>\r\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


BAD_GATEWAY = page("502 Bad Gateway", "502 Bad Gateway")
TOO_LATE = page("504 Gateway Timeout", "504 Gateway Time-out")
NO_SOCKET = page("403 Forbidden", "Category: chat")
PORTAL = page("200 OK", "Welcome to the station's network")


class Way:
    """Listens on its own port, and forwards to the site's."""

    def __init__(self) -> None:
        self.port, self.port_behind = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.state: State = "open"
        self.changed = threading.Condition()
        self.open: set[socket.socket] = set()

    def __enter__(self) -> "Way":
        self.listening = socket.create_server(("127.0.0.1", self.port), backlog=100)
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.listening.close()
        self.become("lost")

    def become(self, state: State) -> None:
        """Break, or recover. Open connections are closed, unless it only goes silent."""
        with self.changed:
            self.state = state
            self.changed.notify_all()
            ending = set() if state in SWALLOWING else set(self.open)
        for one in ending:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=[self.listening.accept()[0]], daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """Answer one request, or forward it."""
        with client, suppress(OSError):
            with self.changed:
                self.open.add(client)
            try:
                request = whole_request(client)
                if request and not (answer := self.answer_to(request)):
                    self.pass_on(request, client)
                elif request and answer:
                    client.sendall(answer)
            finally:
                self.open.discard(client)

    def answer_to(self, request: bytes) -> bytes | None:
        """The path's own answer; None if the server is to answer."""
        is_socket = b"upgrade: websocket" in request.lower()
        with self.changed:
            if self.state == "silent":
                self.changed.wait_for(lambda: self.state != "silent")
                raise ConnectionError
            if self.state == "lost":
                raise ConnectionError
            if self.state == "bad gateway":
                return BAD_GATEWAY
            if self.state == "portal":
                return PORTAL
            return NO_SOCKET if is_socket and self.state in {"no sockets", "late"} else None

    def pass_on(self, request: bytes, client: socket.socket) -> None:
        """Let the server answer, unless its answer is to come too late."""
        is_late = self.state == "late"
        try:
            server = socket.create_connection(("127.0.0.1", self.port_behind))
        except OSError:
            client.sendall(BAD_GATEWAY)
            return
        with server:
            server.sendall(request)
            if is_late:
                while server.recv(65536):
                    pass
                client.sendall(TOO_LATE)
                return
            threading.Thread(target=self.pump, args=[client, server, {"silent"}], daemon=True).start()
            self.pump(server, client, SWALLOWING)

    def pump(self, one: socket.socket, other: socket.socket, swallowed_in: set[str]) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if self.state not in swallowed_in:
                    other.sendall(data)
        with suppress(OSError), self.changed:
            # The end of a swallowed connection must stay hidden.
            self.changed.wait_for(lambda: self.state not in SWALLOWING)
            other.shutdown(socket.SHUT_WR)


class SiteBehind(Site):
    """A site that is reached through such a path."""

    def __init__(self, way: Way, environment: dict[str, str] | None = None) -> None:
        super().__init__({**(environment or {}), "SITE_URL": way.url}, port=way.port_behind)
        self.way = way

    @property
    def url(self) -> str:
        return self.way.url


class Stage:
    """Everything between a page and its data, breaking one thing at a time."""

    FAULTS = (*BROKEN, "server", "database")

    def __init__(self, way: Way, site: Site, postgres: Postgres) -> None:
        self.way, self.site, self.postgres = way, site, postgres
        self.broken = ""

    def breaks(self, fault: str) -> None:
        self.broken = fault
        match fault:
            case "server":
                self.site.stop(signal.SIGKILL)
            case "database":
                self.postgres.stop()
            case _:
                self.way.become(cast(State, fault))

    def is_mended(self) -> None:
        match self.broken:
            case "server":
                self.site.start()
            case "database":
                self.postgres.start()
            case _:
                self.way.become("open")
        self.broken = ""

    @property
    def answers(self) -> bool:
        """Whether requests are answered, even if sockets are not."""
        return self.broken in {"", "no sockets"}

    @property
    def is_silent(self) -> bool:
        """Whether no one learns that no answer will arrive."""
        return self.broken in SWALLOWING


def whole_request(client: socket.socket) -> bytes:
    """A request with its body, made the only one of its connection; empty if it ends early."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := client.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        if not (more := client.recv(65536)):
            return b""
        body += more
    if b"upgrade: websocket" not in head.lower():
        head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head) + b"\r\nConnection: close"
    return head + b"\r\n\r\n" + body

"""A provider that answers as each case wants; `python -m tests.provider.hostile` runs all cases through the site."""

import base64
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CLIENT = "parley"
JSON = "application/json"
DISCOVERY, TOKEN, USERINFO = "/.well-known/openid-configuration", "/token", "/userinfo"


@dataclass
class Reply:
    """The answer at one address: `raw` as it is, or else `body` after a status line and headers."""

    body: bytes = b"{}"
    status: int = 200
    kind: str | None = JSON
    headers: dict[str, str] = field(default_factory=dict)
    # Sent instead of everything else.
    raw: bytes | None = None
    # Seconds between any two bytes.
    drip: float = 0.0
    # How often the body is sent.
    times: int = 1


def packed(value: Any) -> str:
    """Encode a part of a token."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class Provider:
    """What an honest provider would answer, for cases to change; and what the site requested."""

    url: str
    discovery: Any = field(default_factory=dict)
    token: Any = field(default_factory=dict)
    claims: Any = field(default_factory=dict)
    userinfo: Any = field(default_factory=dict)
    header: Any = field(default_factory=lambda: {"alg": "RS256", "kid": "1"})
    replies: dict[str, Reply] = field(default_factory=dict)
    query: str = "code=x&state={state}"
    is_nonce_ours: bool = True
    asked: list[str] = field(default_factory=list)
    sent_bytes: int = 0

    def __post_init__(self) -> None:
        now = int(time.time())
        self.discovery = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}{TOKEN}",
            "userinfo_endpoint": f"{self.url}{USERINFO}",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        self.claims = {"iss": self.url, "aud": CLIENT, "sub": "mallory", "iat": now, "exp": now + 300}
        self.token = {"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 300}
        self.userinfo = {"sub": "mallory", "preferred_username": "mallory", "name": "Mallory", "email": "m@example.org"}

    def reply(self, path: str, nonce: str) -> Reply:
        """The answer at this address."""
        if path in self.replies:
            return self.replies[path]
        if path == DISCOVERY:
            return Reply(as_json(self.discovery))
        if path == USERINFO:
            return Reply(as_json(self.userinfo))
        if path != TOKEN:
            return Reply(status=404)
        claims = self.claims
        if isinstance(claims, dict) and self.is_nonce_ours:
            claims = {"nonce": nonce} | claims
        if isinstance(self.token, dict) and "id_token" not in self.token:
            return Reply(
                as_json({"id_token": f"{packed(self.header)}.{packed(claims)}.{packed(b'sign')}"} | self.token)
            )
        return Reply(as_json(self.token))


def as_json(value: Any) -> bytes:
    """Encode as JSON; bytes are left as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


class Server:
    """Serves the current Provider."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.provider = Provider(self.url)
        self.nonce = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Read the request, and send what the case wants."""
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        provider = self.provider
        path = urlsplit(handler.path).path
        provider.asked.append(path)
        reply = provider.reply(path, self.nonce)
        head = b""
        if reply.raw is None:
            lines = [f"HTTP/1.1 {reply.status} As it is", "Connection: close"]
            lines += [f"Content-Type: {reply.kind}"] if reply.kind else []
            lines += [f"{name}: {value}" for name, value in reply.headers.items()]
            head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        try:
            for part in pieces(head, reply):
                handler.wfile.write(part)
                provider.sent_bytes += len(part)
        except OSError:
            pass  # the client has disconnected

    @contextmanager
    def running(self) -> Iterator["Server"]:
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield self
        finally:
            self.http.shutdown()
            self.http.server_close()


def pieces(head: bytes, reply: Reply) -> Iterator[bytes]:
    """The bytes to send, piece by piece."""
    whole = head + (reply.body if reply.raw is None else reply.raw)
    if not reply.drip:
        yield whole
        for _ in range(reply.times - 1):
            yield reply.body
        return
    for byte in whole:
        time.sleep(reply.drip)
        yield bytes([byte])


def state_of(location: str) -> tuple[str, str]:
    """The state and the nonce in the site's redirect."""
    asked = parse_qs(urlsplit(location).query)
    return asked["state"][0], asked.get("nonce", [""])[0]


if __name__ == "__main__":
    import pytest

    sys.exit(pytest.main(["tests/provider/test_hostile.py", *sys.argv[1:]]))

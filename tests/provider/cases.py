"""Odd answers, each with its expected result: a provider's configuration, and answers that are not even valid."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.provider.hostile import DISCOVERY, TOKEN, USERINFO, Provider, Reply

# Expected results: the page that says what to do; the form for a new account, which works; the page about a known
# address; the page that says that the user did not consent.
REFUSED, NEW, KNOWN, CANCELLED = "refused", "new", "known", "cancelled"

NUL, SURROGATE, BELL = "a\x00b", "a\ud800b", "a\x07b"
DEEP = b"[" * 100_000 + b"]" * 100_000


@dataclass
class Case:
    name: str
    change: Callable[[Provider], Any]
    result: str = REFUSED


CASES: list[Case] = [Case("honest", lambda provider: None, NEW)]
SHAPES: dict[str, Any] = {
    "list": ["x"],
    "object": {"a": "x"},
    "number": 12,
    "yes": True,
    "nul": NUL,
    "surrogate": SURROGATE,
    "bell": BELL,
    "newline": "a\nb",
    "long": "x" * 100_000,
}
MISSING = object()


def add(name: str, change: Callable[[Provider], Any], result: str = REFUSED) -> None:
    CASES.append(Case(name, change, result))


def set_in(part: str, key: str, value: Any, label: str, result: str = REFUSED) -> None:
    """Set one value of one answer, or remove it."""

    def change(provider: Provider) -> None:
        answer = getattr(provider, part)
        answer[key] = value(provider) if callable(value) else value
        if value is MISSING:
            del answer[key]

    add(f"{part} {key} {label}", change, result)


def reply(where: str, label: str, answer: Reply, result: str = REFUSED) -> None:
    add(f"{where} {label}", lambda provider: provider.replies.update({where: answer}), result)


def become(provider: Provider, name: str, value: Any) -> None:
    """Replace a whole part of the provider's answers."""
    setattr(provider, name, value)


def whole(where: str) -> None:
    """Answers that are invalid at any address."""
    for label, body in {
        "no json": b"<html>",
        "empty": b"",
        "list": b'["access_token", "sub"]',
        "text": b'"access_token"',
        "null": b"null",
        "number": b"17",
        "empty object": b"{}",
        "deep": DEEP,
        "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "nan": b'{"sub": NaN}',
        "infinite": b'{"sub": 1e999}',
        "5000 digits": b'{"sub": ' + b"9" * 5000 + b"}",
        "no utf-8": b'{"sub": "\xff\xfe"}',
        "nul": b'{"sub": "\\u0000"}',
        "half a pair": b'{"sub": "\\ud800"}',
        "odd key": b'{"\\u0000": 1}',
        "many": b"[" + b"1," * 100_000 + b"1]",
    }.items():
        reply(where, label, Reply(body))
    for status in (204, 400, 401, 404, 418, 500, 503):
        reply(where, str(status), Reply(status=status))
    for place in (f"{where}?again", "file:///etc/passwd", "http://[", "http://169.254.169.254/", "\xff"):
        reply(where, f"redirect to {place[:12]!r}", Reply(status=302, headers={"Location": place}))
    reply(where, "redirect nowhere", Reply(status=302))
    reply(where, "no http", Reply(raw=b"What do you want?\r\n\r\n"))
    reply(where, "nothing", Reply(raw=b""))
    reply(where, "shorter than said", Reply(headers={"Content-Length": "5000"}))
    reply(where, "odd length", Reply(headers={"Content-Length": "many"}))
    reply(where, "odd chunks", Reply(b"zz\r\n{}\r\n", headers={"Transfer-Encoding": "chunked"}))
    reply(where, "no gzip", Reply(headers={"Content-Encoding": "gzip"}))
    bomb = gzip.compress(b" " * 20_000_000)
    reply(where, "bomb", Reply(bomb, headers={"Content-Encoding": "gzip"}))
    reply(where, "50 MB", Reply(b" " * 1_000_000, times=50))
    reply(where, "long header", Reply(headers={"X-Long": "x" * 100_000}))
    reply(where, "many headers", Reply(headers={f"X-{number}": "x" for number in range(500)}))
    reply(where, "dripping", Reply(b"{" + b" " * 60, drip=0.05))
    reply(where, "dripping headers", Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 60, drip=0.05))


def said_to_be(provider: Provider, where: str, kind: str | None) -> None:
    """A valid answer with another content type."""
    provider.replies[where] = Reply(provider.reply(where, "").body, kind=kind)


for one in (DISCOVERY, TOKEN, USERINFO):
    whole(one)
for kind in ("text/html", "text/plain", "application/jwt", "image/png", None):
    add(f"discovery as {kind}", partial(said_to_be, where=DISCOVERY, kind=kind))
    add(f"userinfo as {kind}", partial(said_to_be, where=USERINFO, kind=kind))
add(
    "discovery with a mark of order",
    lambda p: setattr(p, "discovery", b"\xef\xbb\xbf" + json.dumps(p.discovery).encode()),
    NEW,
)

# Discovery.
for label, value in SHAPES.items():
    for key in ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint"):
        if key == "issuer" or label not in {"yes", "number", "bell"}:
            set_in("discovery", key, value, label)
for label, value in {
    "list": [1],
    "object": {"client_secret_post": 1},
    "text": "client_secret_post",
    "number": 5,
}.items():
    set_in("discovery", "token_endpoint_auth_methods_supported", value, label)
set_in("discovery", "token_endpoint_auth_methods_supported", MISSING, "missing", NEW)
for key in ("issuer", "authorization_endpoint", "token_endpoint"):
    set_in("discovery", key, MISSING, "missing")
    set_in("discovery", key, None, "null")
set_in("discovery", "userinfo_endpoint", MISSING, "missing", NEW)
set_in("discovery", "userinfo_endpoint", None, "null", NEW)
set_in("discovery", "issuer", "https://login.example.org", "another")
set_in("discovery", "issuer", lambda p: p.url + "/other", "below")
set_in("discovery", "issuer", lambda p: p.url.replace("http:", "https:"), "https")
for label, address in {
    "script": "javascript:alert(1)",
    "file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1/",
    "relative": "/token",
    "another net": "http://169.254.169.254/latest/meta-data/",
    "another host": "http://example.org/token",
    "this machine": "https://localhost/token",
    "this net": "https://10.0.0.1/token",
    "this net by six": "https://[fd00::1]/token",
    "by a word": "https://database/token",
    "half an address": "http://[",
    "odd port": "http://127.0.0.1:99999/token",
    "with a password": "http://a:b@127.0.0.1/token",
    "with a space": "http://127.0.0.1/a b",
    "with a fragment": "http://127.0.0.1/#a",
    "without a host": "https:///token",
}.items():
    for key in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint"):
        set_in("discovery", key, address, label)

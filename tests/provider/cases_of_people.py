"""Odd tokens, odd people and odd callbacks."""

import time
from functools import partial
from typing import Any

from tests.provider.cases import CANCELLED, DEEP, KNOWN, MISSING, NEW, NUL, REFUSED, SHAPES, add, become, reply, set_in
from tests.provider.hostile import CLIENT, TOKEN, Provider, Reply, packed

NOW = time.time()

# Tokens.
for label, value in {**SHAPES, "empty": "", "null": None, "missing": MISSING, "letters": "\u00fc\u4e2d"}.items():
    set_in("token", "access_token", value, label)
for label, value in {
    **SHAPES,
    "empty": "",
    "null": None,
    "one part": "abc",
    "no base64": "a.b.c",
    "five parts": "a.b.c.d.e",
    "letters": "\u00fc.\u4e2d.x",
    "dots": "..",
}.items():
    set_in("token", "id_token", value, label)
for label, value in {"list": ["Bearer"], "another": "mac", "number": 5}.items():
    set_in("token", "token_type", value, label)
for label, value in {"word": "soon", "list": [], "object": {"a": 1}, "negative": -1, "null": None, "yes": True}.items():
    set_in("token", "expires_in", value, label, NEW)
for label, value in {"far": 10**18, "text far": "9" * 4000}.items():
    set_in("token", "expires_in", value, label, NEW)
set_in("token", "expires_in", 10**400, "400 digits")
for label, value in {"list": ["x"], "object": {"a": 1}, "number": 5}.items():
    set_in("token", "refresh_token", value, label, NEW)
set_in("token", "refresh_token", NUL, "nul")
reply(TOKEN, "as a form", Reply(b"access_token=x&id_token=a.b.c", kind="application/x-www-form-urlencoded"))
reply(TOKEN, "without a type", Reply(b'{"access_token": "x"}', kind=None))

# ID tokens.
for label, value in {**SHAPES, "missing": MISSING, "null": None, "another": "https://other.example"}.items():
    set_in("claims", "iss", value, label)
set_in("claims", "iss", lambda p: p.url + "/", "with a slash")
for label, value in {
    **SHAPES,
    "missing": MISSING,
    "null": None,
    "another": "other",
    "others": ["other"],
    "nested": [[CLIENT]],
    "none": [],
    "with another and no azp": [CLIENT, "other"],
    "thousand": [CLIENT] * 1000,
}.items():
    set_in("claims", "aud", value, label)
set_in("claims", "aud", [CLIENT], "in a list", NEW)
for label, value in {**SHAPES, "another": "other", "empty": ""}.items():
    set_in("claims", "azp", value, label)
set_in("claims", "azp", CLIENT, "ours", NEW)
set_in("claims", "azp", None, "null", NEW)
add("claims for two, asked by us", lambda p: p.claims.update(aud=[CLIENT, "other"], azp=CLIENT), NEW)
TIMES: dict[str, Any] = {**SHAPES, "negative": -5, "zero": 0, "far": 10**30, "float far": 1e300, "digits": "9999999999"}
for label, value in TIMES.items():
    if label != "number":
        set_in("claims", "exp", value, label)
        set_in("claims", "iat", value, label)
set_in("claims", "exp", MISSING, "missing")
set_in("claims", "exp", None, "null")
set_in("claims", "exp", int(NOW) - 3600, "over")
set_in("claims", "exp", 12, "long over")
set_in("claims", "exp", lambda p: time.time() + 60.5, "with a fraction", NEW)
set_in("claims", "iat", MISSING, "missing")
set_in("claims", "iat", int(NOW) + 86400, "tomorrow")
set_in("claims", "iat", int(NOW) + 60, "in a minute", NEW)
set_in("claims", "nbf", int(NOW) + 86400, "tomorrow")
set_in("claims", "nbf", ["x"], "list")
set_in("claims", "nbf", 10**30, "far")
for label, value in {**SHAPES, "null": None, "another": "other", "empty": "", "letters": "\u00fc\u4e2d"}.items():
    set_in("claims", "nonce", value, label)
add("claims nonce missing", lambda p: setattr(p, "is_nonce_ours", False))


def both(label: str, value: Any, result: str = REFUSED) -> None:
    """Use the same odd `sub` in the ID token and in the user info."""

    def change(provider: Provider) -> None:
        provider.claims["sub"] = provider.userinfo["sub"] = value

    add(f"sub {label}", change, result)


for label, value in {**SHAPES, "null": None, "empty": "", "spaces": "  ", "letters": "m\u00fcller"}.items():
    both(label, value)
both("of 255", "s" * 255, NEW)
both("of 256", "s" * 256)
both("with signs", "auth0|5f7c8ec7c33c6c004bbafe82:#%", NEW)
set_in("claims", "sub", MISSING, "missing")
set_in("claims", "jti", ["x"], "list", NEW)
set_in("claims", "jti", "x" * 5000, "long", NEW)
set_in("claims", "groups", ["x" * 10] * 500, "many", NEW)
set_in("claims", "groups", NUL, "nul")
for label, value in {
    "list": [1],
    "text": "x",
    "null": None,
    "deep": DEEP[:40_000],
    "no json": b"{",
    "no utf-8": b"\xff",
    "empty": b"",
}.items():
    add(f"claims as {label}", partial(become, name="claims", value=value))
for label, value in {"list": [1], "deep": DEEP[:20_000] + DEEP[-20_000:], "no json": b"{", "no utf-8": b"\xff"}.items():
    add(f"header as {label}", partial(become, name="header", value=value))
add("two tokens in one", lambda p: p.token.update(id_token=".".join([packed(p.claims)] * 6)))

# User info.
for label, value in {"another": "victim", "missing": MISSING, "null": None, **SHAPES}.items():
    set_in("userinfo", "sub", value, label)
for key in ("name", "given_name", "family_name", "nickname", "preferred_username", "email"):
    for label, value in SHAPES.items():
        if label not in {"yes", "newline"}:
            set_in("userinfo", key, value, label)
    set_in("userinfo", key, None, "null", NEW)
    set_in("userinfo", key, "", "empty", NEW)
for label, value in {
    "no address": "nobody",
    "odd host": "a@[",
    "letters": "\u00fc@\u4e2d.example",
    "two": "a@b@c",
}.items():
    set_in("userinfo", "email", value, label, NEW)
for label, value in {"list": ["x"], "object": {"a": 1}, "long": "data:" + "x" * 50_000}.items():
    set_in("userinfo", "picture", value, label, NEW)
set_in("userinfo", "picture", NUL, "nul")
set_in("userinfo", "name", "\u202e" + "\u0663" * 100, "turned", NEW)


def verified(label: str, value: Any, result: str) -> None:
    add(
        f"victim's address, verified {label}",
        lambda p: p.userinfo.update(email="victim@example.org", email_verified=value),
        result,
    )


verified("true", True, KNOWN)
verified("text true", "true", KNOWN)
for value in (False, "false", "True", "TRUE", "1", "yes", "", 1, 0, None, [], ["true"], {}, {"true": True}, "x" * 5000):
    verified(repr(value)[:20], value, NEW)
verified("nul", NUL, REFUSED)


# Callbacks.
def back(label: str, query: str, result: str = REFUSED) -> None:
    add(f"back with {label}", lambda provider: setattr(provider, "query", query), result)


back("nothing", "")
back("no state", "code=x")
back("another state", "code=x&state=other")
back("an empty state", "code=x&state=")
back("NUL for a state", "code=x&state=%00")
back("half a pair for a state", "code=x&state=%ED%A0%80")
back("a long state", "code=x&state=" + "x" * 6000)
back("a list for a state", "code=x&state[]={state}")
back("no code", "state={state}")
back("an error", "error=server_error&state={state}")
back("no agreement", "error=access_denied&error_description=No&state={state}", CANCELLED)
back("a markup for an error", "error=<script>alert(1)</script>&error_description=<b>x</b>&state={state}")
back("NUL for an error", "error=%00&error_description=%00&error_uri=%00&state={state}")
back("lines for an error", "error=a%0d%0aERROR%20b&state={state}")
back("half a pair for an error", "error=%ED%A0%80&state={state}")
back("a long error", "error=" + "x" * 6000 + "&state={state}")
back("two errors", "error=a&error=b&state={state}")
back("an error and a code", "error=a&code=x&state={state}")

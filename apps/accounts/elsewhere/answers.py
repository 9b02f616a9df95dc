"""
Validation of provider responses: their shape, lengths and characters.

Anyone who runs or impersonates a provider can send anything. Accepted is only what this site uses and both databases
can store; anything else raises BadAnswerError, which becomes a page with advice and a line in the log.
"""

import ipaddress
import json
import math
import time
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import jwt
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.utils.crypto import constant_time_compare

from apps.accounts.elsewhere.issuers import canonical

MAX_DEPTH = 20
MAX_VALUES = 20_000
MAX_INTEGER = 2**64
MAX_ADDRESS_CHARACTERS = 2000
MAX_TOKEN_CHARACTERS = 64 * 1024
MAX_AUDIENCES = 20
MAX_SUB_CHARACTERS = 255  # OpenID Connect Core 1.0, 2
# Clocks differ, and tokens last for minutes: a few seconds off is no reason to refuse one.
CLOCK_SECONDS = 300
LAST_SECOND = 10**11
# The claims about a user that this site uses, with their maximum lengths. Nothing else is stored.
PERSON = {
    "name": 300,
    "given_name": 150,
    "family_name": 150,
    "nickname": 150,
    "preferred_username": 150,
    "email": 320,
}


class BadAnswerError(OAuth2Error):
    """The provider's response can't be used. The message is for the log, and contains no secrets."""


def document(body: bytes) -> Any:
    """Parse JSON that both databases can store."""

    def no_number(text: str) -> NoReturn:
        raise BadAnswerError("Its JSON has a number that is none.")

    try:
        found = json.loads(body.decode("utf-8-sig"), parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise BadAnswerError("Its answer is no JSON.") from error
    require_plain(found)
    return found


def require_plain(value: Any) -> None:
    """Reject JSON that is too deep or too large, and texts and numbers that a database can't store."""
    rest, seen = [(value, 1)], 0
    while rest:
        one, depth = rest.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_VALUES:
            raise BadAnswerError("Its JSON is too deep or too long.")
        if isinstance(one, str):
            require_text(one)
        elif isinstance(one, float) and not math.isfinite(one):
            raise BadAnswerError("Its JSON has a number that is none.")
        elif isinstance(one, int) and abs(one) > MAX_INTEGER:
            raise BadAnswerError("Its JSON has a number that is too large.")
        elif isinstance(one, list):
            rest += ((each, depth + 1) for each in one)
        elif isinstance(one, dict):
            rest += ((each, depth + 1) for pair in one.items() for each in pair)


def require_text(text: str) -> None:
    """Reject NUL, which PostgreSQL can't store, and lone surrogates, which neither database can."""
    if "\x00" in text or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise BadAnswerError("Its JSON has a text that cannot be stored.")


def configuration(said: Any, *, server: str) -> dict[str, Any]:
    """Return what is used of a discovery document, for the provider that the operator has configured."""
    if not isinstance(said, dict):
        raise BadAnswerError("Its configuration is no object.")
    issuer = line(said, "issuer", MAX_ADDRESS_CHARACTERS)
    if not issuer or canonical(issuer) != canonical(server):
        # OpenID Connect Discovery 1.0, 4.3. Otherwise a provider could pose as another and take over its accounts.
        raise BadAnswerError(f"It calls itself {issuer!r}; is that what OIDC_SERVER_URL should be?")
    found: dict[str, Any] = {"issuer": issuer}
    for name in ("authorization_endpoint", "token_endpoint"):
        found[name] = endpoint(said, name, server=server)
    if said.get("userinfo_endpoint") is not None:
        found["userinfo_endpoint"] = endpoint(said, "userinfo_endpoint", server=server)
    methods = said.get("token_endpoint_auth_methods_supported")
    if methods is not None and not (isinstance(methods, list) and all(isinstance(one, str) for one in methods)):
        raise BadAnswerError("Its token_endpoint_auth_methods_supported is no list of texts.")
    found["token_endpoint_auth_methods_supported"] = methods or []
    return found


def endpoint(said: Mapping[str, Any], name: str, *, server: str) -> str:
    """Return an endpoint's URL: https, or the operator's own scheme on the provider's own host."""
    address = line(said, name, MAX_ADDRESS_CHARACTERS)
    try:
        parts, own = urlsplit(address), urlsplit(server)
        host, is_odd = parts.hostname, parts.port == 0
    except ValueError:
        host, is_odd = None, True
    if not host or is_odd or not address.isascii() or " " in address or "#" in address or "\\" in address:
        raise BadAnswerError(f"Its {name} is no address.")
    if parts.username is not None or parts.password is not None:
        raise BadAnswerError(f"Its {name} is no address.")
    if host == own.hostname and parts.scheme in {"https", own.scheme}:
        return address
    if parts.scheme != "https" or not is_public(host):
        raise BadAnswerError(f"Its {name} is not by https, or on a machine of this net.")
    return address


def is_public(host: str) -> bool:
    """Return False for names and addresses of the site's own network."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.rstrip(".") and not host.rstrip(".").endswith((".localhost", ".internal", ".local"))


def token(said: Any) -> dict[str, Any]:
    """Validate a token endpoint's response. The token's lifetime is ignored, since it isn't kept."""
    if not isinstance(said, dict):
        raise BadAnswerError("Its token answer is no object.")
    kind = said.get("token_type")
    if kind is not None and (not isinstance(kind, str) or kind.lower() != "bearer"):
        raise BadAnswerError("Its token_type is not Bearer.")
    access = line(said, "access_token", MAX_TOKEN_CHARACTERS)
    if not access or not access.isascii() or " " in access:
        raise BadAnswerError("Its access_token is no token.")
    return {"access_token": access, "id_token": line(said, "id_token", MAX_TOKEN_CHARACTERS)}


def id_token(encoded: str, *, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """
    Return the claims about the user if the ID token is for this site and sign-in (OpenID Connect Core 1.0, 3.1.3.7).

    It comes straight from the token endpoint, so TLS vouches for it in place of its signature (number 6 there).
    """
    if not encoded:
        raise BadAnswerError("It sends no ID token.")
    try:
        claims = document(jwt.PyJWS().decode_complete(encoded, options={"verify_signature": False})["payload"])
    except (jwt.PyJWTError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise BadAnswerError("Its ID token is none.") from error
    if not isinstance(claims, dict):
        raise BadAnswerError("Its ID token is no object.")
    if claims.get("iss") != issuer:
        raise BadAnswerError("Its ID token is of another issuer.")
    require_nonce(claims, nonce)
    require_for_us(claims, client_id)
    require_in_time(claims)
    return {"iss": issuer, **person(claims)}


def require_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    """Reject a token from another browser's sign-in."""
    said = claims.get("nonce")
    if not isinstance(said, str) or not constant_time_compare(said, nonce):
        raise BadAnswerError("The ID token has another nonce.")


def require_for_us(claims: Mapping[str, Any], client_id: str) -> None:
    """Reject a token made for another site."""
    said = claims.get("aud")
    audiences = said if isinstance(said, list) else [said]
    if len(audiences) > MAX_AUDIENCES or not all(isinstance(one, str) for one in audiences):
        raise BadAnswerError("The ID token's aud is no text, nor a list of them.")
    if client_id not in audiences:
        raise BadAnswerError("The ID token is for somebody else (aud).")
    asked_by = claims.get("azp")
    if asked_by != client_id and (asked_by is not None or len(audiences) > 1):
        raise BadAnswerError("The ID token was made at another's request (azp).")


def require_in_time(claims: Mapping[str, Any]) -> None:
    """Reject a token that has expired or is not valid yet."""
    now = time.time()
    if moment(claims, "exp") <= now:
        raise BadAnswerError("The ID token has expired (exp).")
    if moment(claims, "iat") > now + CLOCK_SECONDS:
        raise BadAnswerError("The ID token is of a time to come (iat). Is a clock wrong?")
    if claims.get("nbf") is not None and moment(claims, "nbf") > now + CLOCK_SECONDS:
        raise BadAnswerError("The ID token is of a time to come (nbf). Is a clock wrong?")


def moment(claims: Mapping[str, Any], name: str) -> float:
    """Return a time claim in seconds since 1970."""
    said = claims.get(name)
    if not isinstance(said, int | float) or isinstance(said, bool) or not 0 < said < LAST_SECOND:
        raise BadAnswerError(f"The ID token's {name} is missing, or no time.")
    return float(said)


def person(claims: Any) -> dict[str, Any]:
    """Return the claims used; `sub` identifies the user and is required, the rest may be missing."""
    if not isinstance(claims, dict):
        raise BadAnswerError("What it tells of a person is no object.")
    sub = line(claims, "sub", MAX_SUB_CHARACTERS)
    if not sub.strip() or not sub.isascii():
        raise BadAnswerError("It names nobody (sub).")
    found: dict[str, Any] = {"sub": sub}
    for name, longest in PERSON.items():
        if text := line(claims, name, longest).strip():
            found[name] = text
    found["email_verified"] = is_yes(claims.get("email_verified"))
    return found


def is_yes(value: Any) -> bool:
    """Return whether the value means true. Some providers send strings, "false" among them."""
    return value is True or (isinstance(value, str) and value == "true")


def line(said: Mapping[str, Any], name: str, longest: int) -> str:
    """Return a one-line string; empty if it is missing or null, as many providers send it."""
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise BadAnswerError(f"Its {name} is no text of at most {longest} characters.")
    require_text(value)
    if any(letter < " " or "\x7f" <= letter <= "\x9f" for letter in value):
        raise BadAnswerError(f"Its {name} has characters that no {name} has.")
    return value


def with_plain_yes(value: Any) -> Any:
    """Return a copy in which every flag for a verified address is a bool, for all kinds of providers."""
    if isinstance(value, list):
        return [with_plain_yes(one) for one in value]
    if isinstance(value, dict):
        return {name: is_yes(one) if says_verified(name) else with_plain_yes(one) for name, one in value.items()}
    return value


def says_verified(name: str) -> bool:
    """Return whether the name is such a flag (email_verified, is_confirmed); verified_at is a time instead."""
    return name in {"confirmed", "is_confirmed"} or ("verified" in name.lower() and not name.endswith("_at"))

"""
Whose word an account elsewhere is: OpenID Connect says that `sub` is unique for one issuer only.

An account's uid begins with a name of its issuer, so that another issuer's `sub` never opens it, also where both had
the same place in the site's settings one after the other.
"""

import hashlib
from typing import Any
from urllib.parse import urlsplit

from allauth.socialaccount.models import SocialAccount, SocialApp
from django.conf import settings
from django.db.models import QuerySet

OPENID_CONNECT = "openid_connect"
WELL_KNOWN = "/.well-known/"
# In an account's extra_data; that of an account that was made before issuers were kept, and told none, is "".
ISSUER = "issuer"
UNKNOWN = "(unknown)"
DEFAULT_PORTS = {"https": 443, "http": 80}
MAX_UID_CHARACTERS = 191  # the column's


def canonical(issuer: str) -> str:
    """
    The issuer as it is compared: with small letters in scheme and host, without a default port or a slash at the end.

    These two are one server's by any reading, and an operator types one as well as the other. An ID token is held
    against what its provider calls itself, letter by letter (apps/accounts/elsewhere/answers.py).
    """
    try:
        parts = urlsplit(issuer.partition(WELL_KNOWN)[0].rstrip("/"))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return issuer
    if not host:
        return issuer
    shown = f"[{host}]" if ":" in host else host
    if port and port != DEFAULT_PORTS.get(parts.scheme):
        shown += f":{port}"
    return parts._replace(netloc=shown).geturl()


def name_of(issuer: str) -> str:
    """What the uid of each of its accounts begins with."""
    return hashlib.sha256(canonical(issuer).encode()).hexdigest()[:32]


def uid_for(issuer: str, sub: str) -> str:
    """The uid of this issuer's account; a `sub` that is too long is there by its hash, behind another sign."""
    prefix = name_of(issuer)
    if len(prefix) + 1 + len(sub) > MAX_UID_CHARACTERS:
        return f"{prefix}#{hashlib.sha256(sub.encode()).hexdigest()}"
    return f"{prefix}:{sub}"


def moved(uid: str, issuer: str) -> str:
    """The uid of the account of the same `sub` at another issuer."""
    return name_of(issuer) + uid[len(name_of(issuer)) :]


def present() -> dict[str, str]:
    """The issuers that people can sign in with now, by their ids among the providers."""
    of_settings = settings.SOCIALACCOUNT_PROVIDERS.get(OPENID_CONNECT, {}).get("APPS", [])
    apps = [*SocialApp.objects.filter(provider=OPENID_CONNECT), *(SocialApp(**one) for one in of_settings)]
    return {one.provider_id: canonical(str(one.settings.get("server_url", ""))) for one in apps}


def accounts() -> "QuerySet[SocialAccount, Any]":
    """All accounts of OpenID Connect, of whatever issuer."""
    found: QuerySet[SocialAccount, Any] = SocialAccount.objects.filter(extra_data__has_key=ISSUER)
    return found


def issuer_of(account: SocialAccount) -> str:
    """As it was kept, to be compared."""
    return canonical(str(account.extra_data.get(ISSUER, "")))


def counts() -> dict[tuple[str, str], int]:
    """How many accounts there are of each provider and issuer."""
    found: dict[tuple[str, str], int] = {}
    for provider, issuer in accounts().values_list("provider", f"extra_data__{ISSUER}").iterator():
        key = provider, canonical(issuer) if issuer else UNKNOWN
        found[key] = found.get(key, 0) + 1
    return found


def former() -> dict[tuple[str, str], int]:
    """Of these, those whom nobody can sign in with, because the provider is another one now."""
    now = present()
    return {key: count for key, count in counts().items() if key[0] in now and now[key[0]] != key[1]}

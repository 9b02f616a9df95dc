"""
Which issuer an account belongs to: in OpenID Connect, `sub` is unique only within one issuer.

An account's uid starts with a hash of its issuer, so another issuer's `sub` never opens it, even if that issuer later
takes the same place in the site's settings.
"""

import hashlib
from typing import Any
from urllib.parse import urlsplit

from allauth.socialaccount.models import SocialAccount, SocialApp
from django.conf import settings
from django.db.models import QuerySet

OPENID_CONNECT = "openid_connect"
WELL_KNOWN = "/.well-known/"
# Key in an account's extra_data; "" for accounts older than this field whose provider didn't name its issuer.
ISSUER = "issuer"
UNKNOWN = "(unknown)"
DEFAULT_PORTS = {"https": 443, "http": 80}
MAX_UID_CHARACTERS = 191  # length of the column


def canonical(issuer: str) -> str:
    """
    Normalise an issuer for comparison: lower-case scheme and host, no default port, no trailing slash.

    Both forms mean the same server, and operators enter either. ID tokens are compared exactly with the issuer that the
    provider claims (apps/accounts/elsewhere/answers.py).
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
    """Return the prefix of its accounts' uids."""
    return hashlib.sha256(canonical(issuer).encode()).hexdigest()[:32]


def uid_for(issuer: str, sub: str) -> str:
    """Return the uid for this issuer's `sub`; one that is too long is hashed, after another separator."""
    prefix = name_of(issuer)
    if len(prefix) + 1 + len(sub) > MAX_UID_CHARACTERS:
        return f"{prefix}#{hashlib.sha256(sub.encode()).hexdigest()}"
    return f"{prefix}:{sub}"


def moved(uid: str, issuer: str) -> str:
    """Return the uid for the same `sub` at another issuer."""
    return name_of(issuer) + uid[len(name_of(issuer)) :]


def present() -> dict[str, str]:
    """Return the issuers that are configured now, by provider id."""
    of_settings = settings.SOCIALACCOUNT_PROVIDERS.get(OPENID_CONNECT, {}).get("APPS", [])
    apps = [*SocialApp.objects.filter(provider=OPENID_CONNECT), *(SocialApp(**one) for one in of_settings)]
    return {one.provider_id: canonical(str(one.settings.get("server_url", ""))) for one in apps}


def accounts() -> "QuerySet[SocialAccount, Any]":
    """Return all OpenID Connect accounts, of any issuer."""
    found: QuerySet[SocialAccount, Any] = SocialAccount.objects.filter(extra_data__has_key=ISSUER)
    return found


def issuer_of(account: SocialAccount) -> str:
    """Return the account's stored issuer, normalised."""
    return canonical(str(account.extra_data.get(ISSUER, "")))


def counts() -> dict[tuple[str, str], int]:
    """Return the number of accounts per provider and issuer."""
    found: dict[tuple[str, str], int] = {}
    for provider, issuer in accounts().values_list("provider", f"extra_data__{ISSUER}").iterator():
        key = provider, canonical(issuer) if issuer else UNKNOWN
        found[key] = found.get(key, 0) + 1
    return found


def former() -> dict[tuple[str, str], int]:
    """Return the counts of accounts that no one can sign in with, since the provider has another issuer now."""
    now = present()
    return {key: count for key, count in counts().items() if key[0] in now and now[key[0]] != key[1]}

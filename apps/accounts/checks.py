"""System checks of `manage.py check` and `manage.py migrate` about owners and sign-in providers."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from apps.accounts import services
from apps.accounts.elsewhere import issuers
from apps.core.checks import warning
from apps.core.database import NO_DATABASE
from config.environment import is_loopback


@register(Tags.database)
def site_has_an_owner(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn about a site with accounts but no owner: no one could assign roles. Runs before each start."""
    if not databases:
        return []
    try:
        is_lived_in_and_unowned = services.people().exists() and not services.has_owner()
    except (DatabaseError, *NO_DATABASE):
        return []  # before the first migration, or the database is down, which others report
    return [Warning(services.NO_OWNER, id="accounts.W001")] if is_lived_in_and_unowned else []


@register(deploy=True)
def site_will_have_an_owner(**kwargs: Any) -> list[CheckMessage]:
    """Warn if the next user to sign up would become the site's owner."""
    try:
        if services.people().exists():
            return site_has_an_owner(databases=["default"])
    except (DatabaseError, *NO_DATABASE):
        return []  # before the first migration, or the database is down; /readyz reports it
    return warning(
        12,
        "Nobody owns the site: it will belong to the next person who signs up.",
        "Sign up yourself before others can reach it, or run: python manage.py createsuperuser",
    )


@register(Tags.database)
def accounts_elsewhere_are_of_todays_issuer(
    *, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Ask what to do with the old accounts after OIDC_SERVER_URL has changed. Runs before each start."""
    if not databases:
        return []
    try:
        found = issuers.former()
    except (DatabaseError, *NO_DATABASE):
        return []  # before the first migration, or the database is down, which others report
    now = issuers.present() if found else {}
    return [
        one
        for (provider, issuer), count in sorted(found.items())
        for one in warning(
            13,
            f"{count} accounts of {issuer} open nothing: people sign in with {now[provider]} now, as new ones.",
            "If it is the same provider under another address, run: "
            f"python manage.py move_accounts {issuer!r} {now[provider]!r}; else set OIDC_SERVER_URL back, or leave it.",
        )
    ]


@register(deploy=True)
def accounts_elsewhere_would_be_asked_about(**kwargs: Any) -> list[CheckMessage]:
    """Do the same for `check --deploy`, which names no database."""
    return accounts_elsewhere_are_of_todays_issuer(databases=["default"])


@register(deploy=True)
def providers_are_asked_in_secret(**kwargs: Any) -> list[CheckMessage]:
    """Warn about providers without TLS: only the connection authenticates an ID token (elsewhere/answers.py)."""
    try:
        servers = issuers.present().values()
    except (DatabaseError, *NO_DATABASE):
        return []  # before the first migration, or the database is down; /readyz reports it
    return [
        one
        for server in servers
        if server.startswith("http://") and not is_loopback(urlsplit(server).hostname or "")
        for one in warning(
            14,
            f"People sign in with {server} without TLS: whoever is in between can sign in as any of them.",
            "Have the provider speak TLS, and set OIDC_SERVER_URL to its https address.",
        )
    ]

"""Where people sign in with an account they have elsewhere, read from the environment."""

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from apps.core.domains import ascii_url
from config.environment import in_ascii, refuse, text


def social_providers(names: list[str]) -> dict[str, dict[str, Any]]:
    """
    django-allauth's settings for those of the providers that have an id and a secret, and for OpenID Connect.

    For a provider called "gitlab" these are GITLAB_CLIENT_ID and GITLAB_CLIENT_SECRET.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        if app := social_app(name.upper()):
            found[name] = {"APPS": [app]}
    server = text("OIDC_SERVER_URL")
    if server and not is_issuer(server):
        refuse("OIDC_SERVER_URL", f"is {server!r}; it must look like https://login.example.org/realm.")
    if (app := social_app("OIDC")) and not server:
        refuse("OIDC_SERVER_URL", "is not set, but OIDC_CLIENT_ID is.")
    if server:
        if not app:
            refuse("OIDC_CLIENT_ID", "is not set, but OIDC_SERVER_URL is.")
        app["settings"]["server_url"] = in_ascii("OIDC_SERVER_URL", server, ascii_url)
        own = {"provider_id": "oidc", "name": text("OIDC_NAME", "Single sign-on")}
        found["openid_connect"] = {"APPS": [app | own]}
    return found


def is_issuer(address: str) -> bool:
    """Whether it can be an OpenID Connect provider's; the address of its configuration may have a query."""
    try:
        parts = urlsplit(address)
        has_port = parts.port != 0
    except ValueError:
        return False
    is_plain = "@" not in parts.netloc and "#" not in address and (not parts.query or "/.well-known/" in parts.path)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and has_port and is_plain


def social_app(prefix: str) -> dict[str, Any]:
    """A provider's id and secret for this site, or nothing where neither is set."""
    client_id, secret = text(f"{prefix}_CLIENT_ID"), text(f"{prefix}_CLIENT_SECRET")
    if client_id and not secret:
        refuse(f"{prefix}_CLIENT_SECRET", f"is not set, but {prefix}_CLIENT_ID is.")
    if secret and not client_id:
        refuse(f"{prefix}_CLIENT_ID", f"is not set, but {prefix}_CLIENT_SECRET is.")
    if not client_id:
        return {}
    return {"client_id": client_id, "secret": secret, "settings": {"oauth_pkce_enabled": True}}


# Of django-allauth's: what the others are made of, a test's where anybody is whom they like, and OpenID before OpenID
# Connect, which asks any server that a visitor names.
NOT_FOR_SITES = {"base", "oauth", "oauth2", "dummy", "openid", "saml"}


def provider_names(name: str) -> list[str]:
    """Names of django-allauth's providers, with commas between."""
    names = [one.strip() for one in text(name).split(",") if one.strip()]
    for one in names:
        if not one.isidentifier() or find_spec(f"allauth.socialaccount.providers.{one}") is None:
            refuse(name, f"names {one!r}, which is none of django-allauth's providers.")
        if one == "openid_connect":
            refuse(name, f"names {one!r}, which is set by OIDC_SERVER_URL.")
        if one in NOT_FOR_SITES:
            refuse(name, f"names {one!r}, by which nobody can sign in safely.")
        if not text(f"{one.upper()}_CLIENT_ID"):
            refuse(f"{one.upper()}_CLIENT_ID", f"is not set, but {name} names {one!r}.")
    return names

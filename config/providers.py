"""Sign-in providers, read from the environment."""

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from apps.core.domains import ascii_url
from config.environment import in_ascii, refuse, text


def social_providers(names: list[str]) -> dict[str, dict[str, Any]]:
    """
    Return django-allauth's settings for the providers that have an id and a secret, and for OpenID Connect.

    For a provider called "gitlab" the variables are GITLAB_CLIENT_ID and GITLAB_CLIENT_SECRET.
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
    """Return whether this can be an OpenID Connect issuer; the URL of a discovery document may have a query."""
    try:
        parts = urlsplit(address)
        has_port = parts.port != 0
    except ValueError:
        return False
    is_plain = "@" not in parts.netloc and "#" not in address and (not parts.query or "/.well-known/" in parts.path)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and has_port and is_plain


def social_app(prefix: str) -> dict[str, Any]:
    """Return a provider's app settings, or an empty dict if neither id nor secret is set."""
    client_id, secret = text(f"{prefix}_CLIENT_ID"), text(f"{prefix}_CLIENT_SECRET")
    if client_id and not secret:
        refuse(f"{prefix}_CLIENT_SECRET", f"is not set, but {prefix}_CLIENT_ID is.")
    if secret and not client_id:
        refuse(f"{prefix}_CLIENT_ID", f"is not set, but {prefix}_CLIENT_SECRET is.")
    if not client_id:
        return {}
    return {"client_id": client_id, "secret": secret, "settings": {"oauth_pkce_enabled": True}}


# Of django-allauth's providers: base classes, a test provider where anyone can be anyone, SAML, and OpenID 2.0, which
# sends requests to any server that a visitor names.
NOT_FOR_SITES = {"base", "oauth", "oauth2", "dummy", "openid", "saml"}


def provider_names(name: str) -> list[str]:
    """Return the comma-separated names of django-allauth's providers."""
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

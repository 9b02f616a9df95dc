"""Accounts elsewhere are of an issuer: their uid begins with its name (apps/accounts/elsewhere/issuers.py)."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations

# As issuers.py had it when this was written; what is stored depends on it.
DEFAULT_PORTS = {"https": 443, "http": 80}
MAX_UID = 191
AT_ONCE = 500


def canonical(issuer: str) -> str:
    try:
        parts = urlsplit(issuer.partition("/.well-known/")[0].rstrip("/"))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return issuer
    if not host:
        return issuer
    shown = f"[{host}]" if ":" in host else host
    if port and port != DEFAULT_PORTS.get(parts.scheme):
        shown += f":{port}"
    return parts._replace(netloc=shown).geturl()


def recorded(extra_data: Any) -> str:
    """The issuer that the account's last ID token named; before django-allauth 65.11 the claims lay bare."""
    if not isinstance(extra_data, dict):
        return ""
    token = extra_data.get("id_token")
    found = token.get("iss") if isinstance(token, dict) else extra_data.get("iss")
    return found if isinstance(found, str) else ""


def servers(apps: Apps) -> dict[str, str]:
    """Today's addresses, by the ids of providers. Accounts of "oidc" are moved also where it is not set today."""
    found = {"oidc": ""}
    for app in apps.get_model("socialaccount", "SocialApp").objects.filter(provider="openid_connect"):
        found[app.provider_id] = str((app.settings or {}).get("server_url", ""))
    for app in settings.SOCIALACCOUNT_PROVIDERS.get("openid_connect", {}).get("APPS", []):
        found[app["provider_id"]] = str(app["settings"].get("server_url", ""))
    return {provider: canonical(address) for provider, address in found.items()}


def name_issuers(apps: Apps, schema_editor: object) -> None:
    """What an account recorded counts, not what is set today: that may be another provider by now."""
    accounts = apps.get_model("socialaccount", "SocialAccount").objects
    changed = []
    for provider, server in servers(apps).items():
        for one in accounts.filter(provider=provider).iterator(AT_ONCE):
            told = recorded(one.extra_data)
            issuer = canonical(told) if told else server
            prefix = hashlib.sha256(issuer.encode(errors="replace")).hexdigest()[:32]
            is_long = len(prefix) + 1 + len(one.uid) > MAX_UID
            kept = f"#{hashlib.sha256(one.uid.encode()).hexdigest()}" if is_long else f":{one.uid}"
            extra = one.extra_data if isinstance(one.extra_data, dict) else {}
            # Without it, a long `sub` would be lost if the migration is reversed.
            one.extra_data = extra | {"issuer": issuer} | ({"sub_before": one.uid} if is_long else {})
            one.uid = prefix + kept
            changed.append(one)
    accounts.bulk_update(changed, ["uid", "extra_data"], batch_size=AT_ONCE)


def forget_issuers(apps: Apps, schema_editor: object) -> None:
    """The first account of a `sub` has it; others stay as they are, and open nothing."""
    accounts = apps.get_model("socialaccount", "SocialAccount").objects
    for one in accounts.filter(extra_data__has_key="issuer").order_by("pk").iterator(AT_ONCE):
        extra = dict(one.extra_data)
        del extra["issuer"]
        uid = extra.pop("sub_before", "") or one.uid[33:]
        if not accounts.filter(provider=one.provider, uid=uid).exists():
            accounts.filter(pk=one.pk).update(uid=uid, extra_data=extra)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_demonstration"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]

    operations = [migrations.RunPython(name_issuers, forget_issuers)]

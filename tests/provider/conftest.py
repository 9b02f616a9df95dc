"""A provider that answers what a test sets."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from apps.accounts.elsewhere import calls
from apps.accounts.openid_connect import discovery
from tests.provider.hostile import CLIENT, Provider, Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server().running() as server:
        yield server


@pytest.fixture
def provider(server: Server, settings: Settings) -> Provider:
    """An honest provider, until a case changes it."""
    server.provider = Provider(server.url)
    app = {"provider_id": "oidc", "name": "School", "client_id": CLIENT, "secret": "s"}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app | {"settings": {"server_url": server.url}}]}}
    discovery.forget()
    calls._calls.clear()
    return server.provider

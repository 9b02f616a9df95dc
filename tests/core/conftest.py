"""The site with something of everything in it."""

import pytest
from pytest_django import Settings

from tests.core.world import World, provider


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch, db: None) -> World:
    # The passkey there is a name without a key.
    monkeypatch.setattr("allauth.mfa.webauthn.internal.auth.get_credentials", lambda user: [])
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [provider("x")]}}
    return World()

"""A site that has at least one of everything."""

import pytest
from pytest_django import Settings

from tests.core.world import World, provider


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch, db: None) -> World:
    # Its passkey has a name but no key.
    monkeypatch.setattr("allauth.mfa.webauthn.internal.auth.get_credentials", lambda user: [])
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [provider("x")]}}
    return World()

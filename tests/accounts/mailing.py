"""A site that sends mail, and somebody on it, for tests without a browser."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from tests.accounts import mail_urls
from tests.conftest import sign_up

ADA = "ada@example.org"


@pytest.fixture
def sends_mail(settings: Settings) -> None:
    """A site as it is with EMAIL_URL."""
    settings.ROOT_URLCONF = mail_urls.__name__
    settings.SENDS_MAIL = True
    settings.ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
    settings.ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
    settings.ACCOUNT_LOGIN_BY_CODE_ENABLED = True
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    settings.ACCOUNT_PREVENT_ENUMERATION = True
    settings.MFA_ALLOW_UNVERIFIED_EMAIL = False


def stranger(number: int = 0) -> Client:
    """A browser in some other network."""
    return Client(REMOTE_ADDR=f"10.1.{number}.1")


def code_in(message: mail.EmailMessage) -> str:
    found = re.search(r"^([A-Z0-9]{4,}-[A-Z0-9]{4,})$", str(message.body), re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture
def ada() -> Client:
    """The browser in which ada signed up, with an address that she has confirmed; she is signed out."""
    client, _ = sign_up("ada", email=ADA)
    client.post("/accounts/confirm-email/", {"code": code_in(mail.outbox[-1])})
    assert EmailAddress.objects.get().verified
    client.post("/accounts/logout/")
    mail.outbox.clear()
    cache.clear()
    return client

"""A site that sends mail, and people who prove their addresses."""

import re

import pytest
from django.core import mail
from django.test import Client
from pytest_django import Settings

# Imported before any test: django-allauth's addresses hang on the settings at that time.
from tests.accounts import mail_urls
from tests.conftest import PASSWORD


@pytest.fixture
def mail_site(settings: Settings, db: None) -> Settings:
    """What config/settings.py sets where EMAIL_URL is set."""
    settings.SENDS_MAIL = True
    settings.ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
    settings.ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
    settings.ACCOUNT_LOGIN_BY_CODE_ENABLED = True
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    settings.MFA_ALLOW_UNVERIFIED_EMAIL = False
    settings.ROOT_URLCONF = mail_urls.__name__
    # Their own tests are about them.
    settings.ACCOUNT_RATE_LIMITS = False
    return settings


def codes() -> list[str]:
    """The codes in the mails that were sent, the last one last."""
    found = [re.search(r"^([A-Z]{4}-[A-Z]{4})$", str(one.body), re.MULTILINE) for one in mail.outbox]
    return [one[1] for one in found if one]


def has_code() -> bool:
    """Whether the last mail brings a code."""
    return bool(re.search(r"^[A-Z]{4}-[A-Z]{4}$", str(mail.outbox[-1].body), re.MULTILINE))


def last_code() -> str:
    """The code in the mail that was sent last."""
    assert has_code(), mail.outbox[-1].body
    return codes()[-1]


def ask_to_join(name: str, email: str, password: str = PASSWORD, client: Client | None = None) -> Client:
    """A browser in which somebody has filled in the form to sign up, and stands before the code."""
    client = client or Client()
    answer = client.post("/accounts/signup/", {"username": name, "email": email, "password1": password})
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/accounts/confirm-email/")
    return client


def enter(client: Client, code: str) -> int:
    """The status of the answer to a code for an address."""
    return client.post("/accounts/confirm-email/", {"code": code}).status_code


def join(name: str, email: str, password: str = PASSWORD) -> Client:
    """A browser in which somebody has signed up and proved their address."""
    client = ask_to_join(name, email, password)
    assert enter(client, last_code()) == 302
    return client


def is_signed_in(client: Client) -> bool:
    return bool(client.get("/accounts/profile/").status_code == 200)

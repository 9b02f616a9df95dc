"""A site that sends mail, and users who confirm their addresses, for tests without a browser."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User

# Imported before any test: django-allauth's URLs depend on the settings at that time.
from tests.accounts import mail_urls
from tests.conftest import PASSWORD, sign_up

ADDRESS = "ada@example.org"
THIEF = "the password of eve 7"
CODE = re.compile(r"^([A-Z0-9]{4,}-[A-Z0-9]{4,})$", re.MULTILINE)


@pytest.fixture
def sends_mail(settings: Settings) -> Settings:
    """The site with EMAIL_URL set."""
    settings.ROOT_URLCONF = mail_urls.__name__
    settings.SENDS_MAIL = True
    settings.ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
    settings.ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
    settings.ACCOUNT_LOGIN_BY_CODE_ENABLED = True
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    settings.MFA_ALLOW_UNVERIFIED_EMAIL = False
    return settings


@pytest.fixture
def mail_site(sends_mail: Settings, db: None) -> Settings:
    """The same without rate limits, for tests that are not about them."""
    sends_mail.ACCOUNT_RATE_LIMITS = False
    return sends_mail


def stranger(number: int = 0) -> Client:
    """A browser on another network."""
    return Client(REMOTE_ADDR=f"10.1.{number}.1")


def code_in(message: mail.EmailMessage) -> str:
    found = CODE.search(str(message.body))
    assert found, message.body
    return found[1]


@pytest.fixture
def ada() -> Client:
    """The browser in which Ada signed up and confirmed her address; she is signed out."""
    client, _ = sign_up("ada", email=ADDRESS)
    client.post("/accounts/confirm-email/", {"code": code_in(mail.outbox[-1])})
    assert EmailAddress.objects.get().verified
    client.post("/accounts/logout/")
    mail.outbox.clear()
    cache.clear()
    return client


def codes() -> list[str]:
    """The codes in all mails sent, oldest first."""
    return [code_in(one) for one in mail.outbox if CODE.search(str(one.body))]


def has_code() -> bool:
    """Whether the last mail contains a code."""
    return CODE.search(str(mail.outbox[-1].body)) is not None


def last_code() -> str:
    """The code in the last mail."""
    return code_in(mail.outbox[-1])


def ask_to_join(name: str, email: str, password: str = PASSWORD, client: Client | None = None) -> Client:
    """A browser in which someone has sent the sign-up form and is asked for the code."""
    client = client or Client()
    answer = client.post("/accounts/signup/", {"username": name, "email": email, "password1": password})
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/accounts/confirm-email/")
    return client


def enter(client: Client, code: str) -> int:
    """Enter an address's code; returns the status."""
    return client.post("/accounts/confirm-email/", {"code": code}).status_code


def join(name: str, email: str, password: str = PASSWORD) -> Client:
    """A browser in which someone has signed up and confirmed their address."""
    client = ask_to_join(name, email, password)
    assert enter(client, last_code()) == 302
    return client


def is_signed_in(client: Client) -> bool:
    return bool(client.get("/accounts/profile/").status_code == 200)


def squat(name: str = "eve", **more: object) -> User:
    """The account of a stranger who typed Ada's address and never confirmed it, as earlier versions stored it."""
    eve = User(username=name, email=ADDRESS, **more)
    eve.set_password(THIEF)
    eve.save()
    EmailAddress.objects.create(user=eve, email=ADDRESS, primary=True, verified=False)
    SocialAccount.objects.create(user=eve, provider="oidc", uid=f"{name}'s")
    Authenticator.objects.create(user=eve, type=Authenticator.Type.RECOVERY_CODES, data={"seed": "x", "used_mask": 0})
    return eve


def squat_in_use(name: str = "eve") -> User:
    """The same for an account that has long been in use: the site sent no mail then."""
    return squat(name, last_login=timezone.now() - timedelta(days=300))


def signs_in(login: str, password: str) -> bool:
    client = Client()
    client.post("/accounts/login/", {"login": login, "password": password})
    return is_signed_in(client)


def names_at_address() -> list[str]:
    return list(EmailAddress.objects.filter(email=ADDRESS, verified=True).values_list("user__username", flat=True))

"""Users who sign in only through a provider confirm who they are again before important changes."""

import re
import time
from urllib.parse import quote

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.test import Client
from pytest_django import Settings

from apps.accounts import again
from apps.accounts.models import User
from tests.accounts.mailing import code_in
from tests.conftest import client_of, make_user

pytestmark = pytest.mark.django_db

BY_CODE, ELSEWHERE = "/accounts/reauthenticate/code/", "/accounts/reauthenticate/elsewhere/"
MATTERS = ["/accounts/username/", "/accounts/password/set/", "/accounts/2fa/totp/activate/", "/accounts/delete/"]


@pytest.fixture
def eve() -> User:
    """A user who can sign in only through a provider."""
    user = make_user("eve", email="eve@example.org")
    user.set_unusable_password()
    user.save()
    SocialAccount.objects.create(user=user, provider="oidc", uid="1")
    EmailAddress.objects.create(user=user, email="eve@example.org", verified=True, primary=True)
    return user


def signed_in(user: User, *, minutes_ago: float) -> Client:
    """A browser in which the user signed in through a provider this long ago."""
    client = client_of(user)
    session = client.session
    session["account_authentication_methods"] = [{"method": "socialaccount", "at": time.time() - 60 * minutes_ago}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


@pytest.mark.parametrize("path", MATTERS)
def test_after_a_while_the_user_is_sent_to_their_provider_again(eve: User, path: str) -> None:
    assert signed_in(eve, minutes_ago=6).post(path).headers["Location"] == f"{ELSEWHERE}?next={quote(path, safe='')}"


@pytest.mark.parametrize("path", MATTERS)
def test_a_site_that_sends_mail_asks_for_a_code(eve: User, path: str, sends_mail: None) -> None:
    assert signed_in(eve, minutes_ago=6).post(path).headers["Location"] == f"{BY_CODE}?next={quote(path, safe='')}"


@pytest.mark.parametrize("path", MATTERS)
def test_a_user_who_just_signed_in_is_asked_nothing(eve: User, path: str) -> None:
    answer = signed_in(eve, minutes_ago=4).get(path)
    assert "/reauthenticate/" not in answer.headers.get("Location", "")


def test_an_unconfirmed_address_gets_no_code(eve: User, sends_mail: None) -> None:
    EmailAddress.objects.update(verified=False)
    assert signed_in(eve, minutes_ago=6).post(MATTERS[0]).headers["Location"].startswith(ELSEWHERE)


def test_after_the_code_the_requested_change_is_made(eve: User, sends_mail: None) -> None:
    client = signed_in(eve, minutes_ago=6)
    client.post("/accounts/username/", {"username": "eva"})
    client.get(f"{BY_CODE}?next=/accounts/username/")
    assert mail.outbox == []  # loading the page alone sends nothing
    client.post(BY_CODE, {"send": "on", "next": "/accounts/username/"})
    assert mail.outbox[-1].to == ["eve@example.org"]
    assert "is_last" not in str(mail.outbox[-1].body)
    assert "A code was mailed to eve@example.org" in client.get(BY_CODE).content.decode()
    answer = client.post(BY_CODE, {"code": code_in(mail.outbox[-1]), "next": "/accounts/username/"})
    assert answer.status_code == 302
    eve.refresh_from_db()
    assert eve.username == "eva"
    assert "/reauthenticate/" not in client.get("/accounts/delete/").headers.get("Location", "")


def test_a_code_is_valid_for_three_attempts(eve: User, sends_mail: None) -> None:
    client = signed_in(eve, minutes_ago=6)
    client.post(BY_CODE, {"send": "on"})
    code = code_in(mail.outbox[-1])
    for _ in range(3):
        answer = client.post(BY_CODE, {"code": "WRON-GGGG"})
        assert answer.status_code == 200
        assert re.search(r"<title>\s*Error: ", answer.content.decode())
    page = client.post(BY_CODE, {"code": code})
    assert "not good any more" in page.content.decode()
    assert "/reauthenticate/" in client.post("/accounts/delete/").headers["Location"]


def test_a_code_expires_after_a_few_minutes(eve: User, sends_mail: None, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(eve, minutes_ago=6)
    client.post(BY_CODE, {"send": "on"})
    later = time.time() + 200
    monkeypatch.setattr("apps.accounts.again.time.time", lambda: later)
    assert client.post(BY_CODE, {"code": code_in(mail.outbox[-1])}).status_code == 200


def test_no_code_is_accepted_before_one_was_sent(eve: User, sends_mail: None) -> None:
    client = signed_in(eve, minutes_ago=6)
    for code in ("", "-", "None"):
        assert client.post(BY_CODE, {"code": code}).status_code == 200


def test_a_user_with_a_password_cannot_use_a_code_instead(sends_mail: None) -> None:
    ada = make_user("ada")
    ada.set_password("correct horse battery 9")
    ada.save()
    EmailAddress.objects.create(user=ada, email="ada@example.org", verified=True, primary=True)
    client = signed_in(ada, minutes_ago=6)
    for form in ({"send": "on"}, {"code": ""}):
        assert client.post(BY_CODE, form).headers["Location"].startswith("/accounts/reauthenticate/")
    assert mail.outbox == []


def test_a_user_without_any_method_is_asked_nothing(settings: Settings) -> None:
    user = make_user("bob")
    user.set_unusable_password()
    user.save()
    assert again.methods_for(user) == []
    assert signed_in(user, minutes_ago=6).get("/accounts/delete/").status_code == 200


@pytest.mark.parametrize("path", [BY_CODE, ELSEWHERE])
def test_these_pages_need_a_signed_in_user(path: str) -> None:
    assert Client().get(path).headers["Location"].startswith("/accounts/login/")


def test_the_page_that_leads_to_the_provider_says_why(eve: User) -> None:
    assert "You have no password here" in signed_in(eve, minutes_ago=6).get(ELSEWHERE).content.decode()
    assert signed_in(eve, minutes_ago=6).post(ELSEWHERE).status_code == 405

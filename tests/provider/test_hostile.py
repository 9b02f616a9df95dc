"""Each odd answer of a provider, through a complete sign-in over HTTP."""

import logging
import re
from typing import Any
from unittest import mock

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from pytest_django import Settings

from apps.accounts.elsewhere import issuers
from apps.accounts.models import User
from apps.core import limits
from tests.provider import cases_of_people  # noqa: F401  # adds its own to CASES
from tests.provider.cases import CANCELLED, CASES, KNOWN, NEW, REFUSED, Case
from tests.provider.hostile import Server, state_of

pytestmark = pytest.mark.usefixtures("provider")

START = "/accounts/oidc/oidc/login/"
BACK = "/accounts/oidc/oidc/login/callback/"


@pytest.fixture
def victim(server: Server, db: None) -> User:
    """A user who signs in through this provider, where their `sub` is "victim"."""
    made = User.objects.create(username="victim")
    uid = issuers.uid_for(server.url, "victim")
    SocialAccount.objects.create(user=made, provider="oidc", uid=uid, extra_data={"issuer": server.url})
    EmailAddress.objects.create(user=made, email="victim@example.org", verified=True)
    return made


def come(server: Server, client: Client) -> Any:
    """Go to the provider and come back; returns the final page."""
    client.raise_request_exception = False
    start = client.post(START)
    if start.status_code != 302:
        return start
    state, server.nonce = state_of(start.headers["Location"])
    return client.get(f"{BACK}?{server.provider.query.format(state=state)}")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_an_odd_answer_has_the_expected_result(
    case: Case, server: Server, victim: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.change(server.provider)
    if any(reply.drip for reply in server.provider.replies.values()):
        monkeypatch.setattr(limits, "PROVIDER_SECONDS", 0.5)
    client = Client()
    caplog.set_level(logging.INFO)
    answer = come(server, client)
    assert answer.status_code < 500
    assert "_auth_user_id" not in client.session
    assert (User.objects.count(), SocialAccount.objects.count()) == (1, 1)
    assert [record for record in caplog.records if record.exc_info] == []
    said = [record.getMessage() for record in caplog.records if record.name.startswith("apps")]
    {REFUSED: refused, NEW: new, KNOWN: known, CANCELLED: cancelled}[case.result](answer, said, client)
    # Out of 50 MB; the system buffers some at both ends.
    assert server.provider.sent_bytes < 15_000_000


def refused(answer: Any, said: list[str], client: Client) -> None:
    page = answer.content.decode()
    assert answer.status_code == 401
    assert "Signing in with School did not work" in page
    assert "Try again, or sign in another way" in page
    assert "<script>alert" not in page
    assert len(said) == 1, said
    assert re.fullmatch(r"Nobody is signed in by oidc: [^\n\r\x00-\x1f]{3,300}", said[0])
    assert not SocialAccount.objects.filter(user__username="mallory").exists()


def new(answer: Any, said: list[str], client: Client) -> None:
    """The user chooses a name and gets a new account, which contains only checked data."""
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/accounts/3rdparty/signup/")
    assert said == []
    assert client.get("/accounts/3rdparty/signup/").status_code == 200
    done = client.post("/accounts/3rdparty/signup/", {"username": "mallory.new", "email": "new@example.org"})
    assert done.status_code == 302, done.content.decode()
    account = SocialAccount.objects.get(user__username="mallory.new")
    assert set(account.extra_data) <= {"issuer", "id_token", "userinfo"}
    assert len(str(account.extra_data)) < 5000


def known(answer: Any, said: list[str], client: Client) -> None:
    assert answer.status_code == 409
    assert "You seem to have an account here already" in answer.content.decode()


def cancelled(answer: Any, said: list[str], client: Client) -> None:
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/3rdparty/login/cancelled/")
    assert said == []


def test_there_are_many_cases_with_unique_names() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 120


def test_the_victims_own_answer_signs_the_victim_in(server: Server, victim: User) -> None:
    server.provider.claims["sub"] = server.provider.userinfo["sub"] = "victim"
    client = Client()
    come(server, client)
    assert client.session["_auth_user_id"] == str(victim.pk)


def test_a_bug_in_this_site_is_not_blamed_on_the_provider(server: Server, victim: User) -> None:
    """Errors after the provider's answer was accepted must not hide behind a page that blames the provider."""
    with mock.patch("allauth.socialaccount.models.SocialLogin.lookup", side_effect=KeyError("ours")):
        assert come(server, Client()).status_code == 500


def test_a_sign_up_begun_before_accounts_had_issuers_starts_over(server: Server, victim: User) -> None:
    """Its account would be one that no one can sign in to."""
    client = Client()
    assert come(server, client).status_code == 302
    session = client.session
    session["socialaccount_sociallogin"]["account"] |= {"uid": "mallory", "extra_data": {}}
    session.save()
    answer = client.post("/accounts/3rdparty/signup/", {"username": "mallory.new", "email": ""})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/")
    assert SocialAccount.objects.count() == 1


def test_another_provider_under_the_same_setting_signs_no_one_in(
    server: Server, victim: User, settings: Settings
) -> None:
    """The complete attack: OIDC_SERVER_URL is changed, and a user there has the victim's `sub`."""
    with Server().running() as other:
        settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["settings"]["server_url"] = other.url
        other.provider.claims["sub"] = other.provider.userinfo["sub"] = "victim"
        client = Client()
        answer = come(other, client)
    assert answer.headers["Location"] == "/accounts/3rdparty/signup/"
    assert "_auth_user_id" not in client.session


def test_another_provider_claiming_to_be_the_former_one_is_refused(
    server: Server, victim: User, settings: Settings
) -> None:
    with Server().running() as other:
        settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["settings"]["server_url"] = other.url
        other.provider.discovery["issuer"] = other.provider.claims["iss"] = server.url
        other.provider.claims["sub"] = other.provider.userinfo["sub"] = "victim"
        assert come(other, Client()).status_code == 401

"""What this site adds to django-allauth's OpenID Connect provider."""

from typing import Any

import pytest
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import RequestFactory

from apps.accounts.openid_connect.provider import CheckedOpenIDConnectProvider, nonce_for
from apps.accounts.social import suggested_username

STATE = "state-of-this-browser"


@pytest.fixture
def request_back() -> HttpRequest:
    """The browser, back with the provider's answer."""
    request: HttpRequest = RequestFactory().get("/", {"state": STATE, "code": "x"})
    request.session = SessionStore()
    return request


def answer(request: HttpRequest, **tokens: Any) -> Any:
    app = SocialApp(provider="openid_connect", provider_id="oidc", name="School", settings={"server_url": "http://x"})
    return CheckedOpenIDConnectProvider(request, app=app).sociallogin_from_response(request, tokens)


@pytest.mark.django_db
def test_an_id_token_with_this_sign_ins_nonce_is_taken(request_back: HttpRequest) -> None:
    token = {"sub": "1", "nonce": nonce_for(STATE)}
    login = answer(request_back, id_token=token, userinfo={"sub": "1", "email": "a@example.org"})
    assert login.account.uid == "1"


@pytest.mark.parametrize(
    "token", [{}, {"sub": "1"}, {"sub": "1", "nonce": nonce_for("another state")}, {"sub": "1", "nonce": None}]
)
def test_an_id_token_of_another_sign_in_is_refused(request_back: HttpRequest, token: dict[str, Any]) -> None:
    with pytest.raises(OAuth2Error, match="nonce"):
        answer(request_back, id_token=token, userinfo={"sub": "1"})


def test_user_info_about_somebody_else_is_refused(request_back: HttpRequest) -> None:
    with pytest.raises(OAuth2Error, match="somebody else"):
        answer(request_back, id_token={"sub": "1", "nonce": nonce_for(STATE)}, userinfo={"sub": "2"})


def test_an_answer_without_an_id_token_is_refused(request_back: HttpRequest) -> None:
    with pytest.raises(OAuth2Error, match="nonce"):
        answer(request_back, userinfo={"sub": "1"})


@pytest.mark.parametrize(
    ("username", "first", "last", "suggestion"),
    [
        ("ada", "", "", "ada"),
        ("ada@example.org", "", "", "ada"),
        ("", "Ada", "Lovelace", "Ada.Lovelace"),
        ("a b/c", "", "", "abc"),
        ("", "", "", ""),
        ("x" * 90, "", "", "x" * 40),
    ],
)
def test_a_user_name_is_suggested_that_one_could_have(username: str, first: str, last: str, suggestion: str) -> None:
    assert suggested_username({"username": username, "first_name": first, "last_name": last}) == suggestion

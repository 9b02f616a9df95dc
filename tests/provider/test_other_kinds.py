"""Providers other than OpenID Connect: django-allauth's code for GitHub and Google, which trusts everything."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.core.context import request_context
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.socialaccount.providers import registry
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter, oauth2_callback
from allauth.socialaccount.providers.google.provider import GoogleProvider
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from apps.accounts.elsewhere.answers import BadAnswerError
from apps.accounts.elsewhere.guard import believing, guarded
from apps.accounts.models import User
from tests.provider.hostile import CLIENT, Provider, Reply, Server, as_json

USER, EMAILS = "/user", "/emails"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server().running() as server:
        yield server


@pytest.fixture
def github(server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """GitHub, at the hostile server's address."""
    server.provider = Provider(server.url)
    server.provider.replies = {
        "/token": Reply(b'{"access_token": "x"}'),
        USER: Reply(b'{"id": 1, "login": "mallory", "name": "Mallory"}'),
        EMAILS: Reply(b'[{"email": "m@example.org", "primary": true, "verified": true}]'),
    }
    app = {"client_id": CLIENT, "secret": "s", "settings": {"oauth_pkce_enabled": True}}
    settings.SOCIALACCOUNT_PROVIDERS = {"github": {"APPS": [app]}}
    settings.SOCIALACCOUNT_QUERY_EMAIL = True
    monkeypatch.setitem(registry.provider_map, "github", GitHubProvider)
    for name, path in {"access_token_url": "/token", "profile_url": USER, "emails_url": EMAILS}.items():
        monkeypatch.setattr(GitHubOAuth2Adapter, name, server.url + path)
    monkeypatch.setattr(GitHubOAuth2Adapter, "get_callback_url", lambda *_: "http://testserver/")
    return server.provider


def browser(**query: str) -> HttpRequest:
    """A request of a browser that comes back from the provider."""
    request: HttpRequest = RequestFactory().get("/accounts/github/login/callback/", query)
    request.session = SessionStore()
    request.user = User()
    return request


def back() -> tuple[HttpResponse, HttpRequest]:
    """Come back from the provider; returns the answer and the request."""
    request = browser(code="x", state="s")
    statekit.stash_state(request, provider_id="github", state={"process": "login"}, state_id="s")
    with request_context(request):
        return guarded(oauth2_callback)(request), request


ODD_PEOPLE: list[Any] = [
    [],
    "x",
    None,
    7,
    {},
    b"<html>",
    b"",
    b"[" * 100_000,
    b'{"id": 1e999}',
    b'{"id": 1, "bio": "\\u0000"}',
    b'{"id": 1, "bio": "\\ud800"}',
    {"id": 1, "name": ["x"]},
    {"id": 1, "name": {"a": 1}},
    {"id": 1, "login": ["x"]},
    {"id": 1, "login": 7},
    {"id": "x" * 500},
]


def refused(answer: HttpResponse) -> None:
    assert answer.status_code == 401
    assert "did not work" in answer.content.decode()
    assert SocialAccount.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("person", ODD_PEOPLE, ids=lambda person: repr(person)[:30])
def test_odd_user_data_from_another_kind_of_provider_is_refused(github: Provider, person: Any) -> None:
    github.replies[USER] = Reply(as_json(person))
    refused(back()[0])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "emails", ["x", [1], ["x"], [{}], [[]], {"a": 1}, [{"email": 7, "primary": 1, "verified": 1}]], ids=repr
)
def test_odd_addresses_from_another_kind_of_provider_are_refused(github: Provider, emails: Any) -> None:
    github.replies[EMAILS] = Reply(as_json(emails))
    refused(back()[0])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "token",
    [[], ["access_token"], "access_token", {}, {"access_token": ["x"]}, b"[" * 10**5],
    ids=lambda token: repr(token)[:30],
)
def test_odd_tokens_from_another_kind_of_provider_are_refused(github: Provider, token: Any) -> None:
    github.replies["/token"] = Reply(as_json(token))
    github.replies[USER] = Reply(status=401)
    refused(back()[0])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "is_yes"), [(True, True), ("true", True), ("false", False), ("no", False), (1, False)]
)
def test_only_true_confirms_an_address_from_another_kind_of_provider(github: Provider, said: Any, is_yes: bool) -> None:
    github.replies[EMAILS] = Reply(as_json([{"email": "m@example.org", "primary": True, "verified": said}]))
    answer, request = back()
    assert answer.headers["Location"] == "/accounts/3rdparty/signup/"
    assert request.session["socialaccount_sociallogin"]["email_addresses"][0]["verified"] is is_yes


def google(**more: Any) -> Any:
    now = int(time.time())
    claims = {"iss": "https://accounts.google.com", "aud": CLIENT, "azp": CLIENT, "iat": now, "exp": now + 60}
    request = browser()
    provider = believing(GoogleProvider(request, app=SocialApp(provider="google", client_id=CLIENT)))
    with request_context(request):
        return provider.sociallogin_from_response(request, claims | {"sub": "1", "email": "m@example.org"} | more)


@pytest.mark.parametrize(("said", "is_yes"), [(True, True), ("true", True), ("false", False), ("no", False)])
def test_only_true_confirms_an_address_from_google(said: Any, is_yes: bool) -> None:
    assert google(email_verified=said).email_addresses[0].verified is is_yes


@pytest.mark.parametrize(
    "more", [{"exp": None}, {"exp": 1}, {"azp": "another"}, {"azp": ["x"]}, {"sub": ["x"]}, {"sub": ""}, {"sub": 7}]
)
def test_a_google_token_for_another_sign_in_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadAnswerError):
        google(**more)

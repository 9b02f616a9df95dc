"""What every request passes through."""

import pytest
from django.conf import settings
from django.test import Client
from django.utils.module_loading import import_string

from apps.accounts.models import User
from tests.conftest import client_of, make_user


@pytest.mark.parametrize("path", settings.MIDDLEWARE)
def test_every_middleware_is_async_capable(path: str) -> None:
    middleware = import_string(path)
    assert getattr(middleware, "async_capable", False), f"{path} would put each request on a thread and back"


@pytest.mark.django_db
def test_pages_are_not_cached_by_proxies_and_static_files_are_cached(client: Client) -> None:
    assert client.get("/").headers["Cache-Control"] == "private, no-cache"
    assert "public" in client.get("/static/css/base.css").headers["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/rooms/", "/accounts/login/", "/nowhere/", "/livez"])
def test_every_answer_has_the_strict_content_security_policy(client: Client, path: str) -> None:
    policy = client.get(path).headers["Content-Security-Policy"]
    directives = {directive.split()[0]: directive.split()[1:] for directive in policy.split("; ")}
    assert directives["default-src"] == ["'self'"]
    assert directives["frame-ancestors"] == directives["base-uri"] == ["'none'"]
    assert directives["form-action"] == ["'self'"]
    assert "unsafe" not in policy


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/accounts/profile/",
        "/accounts/2fa/",
        "/accounts/2fa/recovery-codes/",
        "/accounts/data/",
        "/invitations/",
        "/site/",
    ],
)
def test_pages_with_secrets_are_not_stored(path: str) -> None:
    answer = client_of(make_user("boss", role=User.Role.OWNER)).get(path)
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.django_db
def test_a_cached_page_can_ask_who_is_signed_in(client: Client) -> None:
    ada = make_user("ada")
    for one, expected in ((client, ""), (client_of(ada), str(ada.pk))):
        answer = one.get("/accounts/viewer/")
        assert (answer.status_code, answer.content.decode()) == (200, expected)
        assert "no-store" in answer.headers["Cache-Control"]
        assert one.post("/accounts/viewer/").status_code == 405

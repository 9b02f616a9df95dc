"""What every request passes through."""

import pytest
from django.conf import settings
from django.test import Client
from django.utils.module_loading import import_string


@pytest.mark.parametrize("path", settings.MIDDLEWARE)
def test_every_middleware_is_async_capable(path: str) -> None:
    middleware = import_string(path)
    assert getattr(middleware, "async_capable", False), f"{path} would put each request on a thread and back"


@pytest.mark.django_db
def test_no_proxy_keeps_a_page_and_every_browser_keeps_the_static_files(client: Client) -> None:
    assert client.get("/").headers["Cache-Control"] == "private, no-cache"
    assert "public" in client.get("/static/css/base.css").headers["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/rooms/", "/accounts/login/", "/nowhere/", "/livez", "/static/css/base.css"])
def test_every_answer_carries_the_strict_policy(client: Client, path: str) -> None:
    policy = client.get(path).headers["Content-Security-Policy"]
    directives = {directive.split()[0]: directive.split()[1:] for directive in policy.split("; ")}
    assert directives["default-src"] == ["'self'"]
    assert directives["frame-ancestors"] == directives["base-uri"] == ["'none'"]
    assert directives["form-action"] == ["'self'"]
    assert "unsafe" not in policy

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
@pytest.mark.parametrize("path", ["/", "/rooms/", "/accounts/login/", "/nowhere/", "/livez", "/static/css/base.css"])
def test_every_answer_carries_the_strict_policy(client: Client, path: str) -> None:
    policy = client.get(path).headers["Content-Security-Policy"]
    directives = {directive.split()[0]: directive.split()[1:] for directive in policy.split("; ")}
    assert directives["default-src"] == ["'self'"]
    assert directives["frame-ancestors"] == directives["base-uri"] == ["'none'"]
    assert directives["form-action"] == ["'self'"]
    assert "unsafe" not in policy

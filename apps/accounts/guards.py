"""What stands before a view that matters: a password asked again, and limits on how often it is used."""

from collections.abc import Callable
from typing import TypeVar, cast

from allauth.account.decorators import reauthentication_required
from allauth.core import ratelimit
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

type_of_view = TypeVar("type_of_view", bound=Callable[..., HttpResponseBase])


def recently_authenticated(view: type_of_view) -> type_of_view:
    """Ask for the password or the second factor again, unless that was done within the last minutes."""
    return cast(type_of_view, reauthentication_required(view))


def too_often(request: HttpRequest, action: str) -> HttpResponse | None:
    """The page that says so, where somebody POSTs beyond ACCOUNT_RATE_LIMITS."""
    return cast(HttpResponse | None, ratelimit.consume_or_429(request, action=action))

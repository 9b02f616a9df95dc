"""What stands before a view that matters: a password asked again."""

from collections.abc import Callable
from typing import TypeVar, cast

from allauth.account.decorators import reauthentication_required
from django.http.response import HttpResponseBase

type_of_view = TypeVar("type_of_view", bound=Callable[..., HttpResponseBase])


def recently_authenticated(view: type_of_view) -> type_of_view:
    """Ask for the password or the second factor again, unless that was done within the last minutes."""
    return cast(type_of_view, reauthentication_required(view))

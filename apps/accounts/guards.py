"""Decorators that protect sensitive views."""

from collections.abc import Callable
from typing import TypeVar, cast

from allauth.account.decorators import reauthentication_required
from django.http.response import HttpResponseBase

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def recently_authenticated(view: View) -> View:
    """Ask for the password or second factor again, unless the user gave it within the last minutes."""
    return cast(View, reauthentication_required(view))

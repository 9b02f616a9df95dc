"""The user viewing a page."""

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from apps.accounts.models import User

Viewer = User | AnonymousUser


def signed_in(request: HttpRequest) -> User:
    """Return the signed-in user, in a view with `login_required`."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user

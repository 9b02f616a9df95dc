"""Authentication by username or address, and password."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend as AllauthBackend
from allauth.account.models import EmailAddress
from django.http import HttpRequest

from apps.accounts.models import User
from apps.accounts.services import person_named


class AuthenticationBackend(AllauthBackend):
    """
    Hashes exactly one password per attempt, whether or not the account exists.

    django-allauth's backend next to Django's would hash once more for a known address than for an unknown one, and
    take twice as long for everything.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """Return the active account with these credentials; `username` may be an address."""
        password = credentials.get("password")
        if not password:
            return None
        user = find(credentials.get("email") or credentials.get("username") or "")
        if user is None:
            User().set_password(password)
            return None
        if not user.check_password(password):
            return None
        if not self.user_can_authenticate(user):
            # The sign-in page will then tell its owner that the account is deactivated.
            self._stash_user(user)
            return None
        return user


def find(login: str) -> User | None:
    """
    Return the user with this name or, since no name contains an @, this address.

    Of several, the one who confirmed it, or else has signed in and had it first; the password shows if it is them.
    """
    if "@" not in login:
        return person_named(login, User.objects.all())
    address = login.lower()
    found = list(EmailAddress.objects.filter(email=address).select_related("user"))
    # Always queried, though only needed if no one has confirmed the address: the time taken would reveal that.
    named = list(User.objects.filter(email=address))
    users = [one.user for one in found if one.verified] or [one.user for one in found] + named
    return min(users, key=lambda user: (user.last_login is None, user.pk), default=None)

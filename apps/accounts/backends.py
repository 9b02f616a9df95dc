"""Who somebody is by name or address and password."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend as AllauthBackend
from allauth.account.models import EmailAddress
from django.http import HttpRequest

from apps.accounts.models import User
from apps.accounts.services import person_named


class AuthenticationBackend(AllauthBackend):
    """
    One password is hashed for each try, whoever is meant and whether or not there is such an account.

    With django-allauth's own backend, and Django's beside it, a known address takes one hash more than an unknown
    one, and everything takes twice as long.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """The active account with these credentials; `username` may be an address."""
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
            # The sign-in page then tells its owner that the account is switched off.
            self._stash_user(user)
            return None
        return user


def find(login: str) -> User | None:
    """
    Who has this name or, since no name has an @, this address.

    Of several, who confirmed it, or else who has been in and had it first: the password then says that it is they.
    """
    if "@" not in login:
        return person_named(login, User.objects.all())
    address = login.lower()
    found = list(EmailAddress.objects.filter(email=address).select_related("user"))
    # Asked always, though it matters only where nobody has confirmed the address: it may take long, and would tell.
    named = list(User.objects.filter(email=address))
    users = [one.user for one in found if one.verified] or [one.user for one in found] + named
    return min(users, key=lambda user: (user.last_login is None, user.pk), default=None)

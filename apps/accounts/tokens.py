"""Tokens in links to a new password."""

from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.tokens import PasswordResetTokenGenerator


class ResetTokens(PasswordResetTokenGenerator):
    """
    They end with the password and with the addresses of the account, and outlive a sign-in, as Django's do not. The
    moment of joining is in them for restores, which spend what was mailed (apps/accounts/restored.py).

    Else the link that the last mail of the day holds (apps/accounts/mail.py) would be worth nothing once its owner has
    signed in somewhere, and the browser that they need it for would be barred until tomorrow.
    """

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        addresses = {user.email, *EmailAddress.objects.filter(user=user).values_list("email", flat=True)}
        return f"{user.pk} {user.password} {user.date_joined} {timestamp} {'|'.join(sorted(addresses))}"

"""Tokens in password reset links."""

from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.tokens import PasswordResetTokenGenerator


class ResetTokens(PasswordResetTokenGenerator):
    """
    Tokens that become invalid when the password or the addresses change but, unlike Django's, survive a sign-in. They
    include date_joined, which a restore changes to invalidate links sent before (apps/accounts/restored.py).

    Otherwise the link in the last mail of the day (apps/accounts/mail.py) would become worthless when its owner signs
    in anywhere, and the browser that they need it for would stay locked out until tomorrow.
    """

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        addresses = {user.email, *EmailAddress.objects.filter(user=user).values_list("email", flat=True)}
        return f"{user.pk} {user.password} {user.date_joined} {timestamp} {'|'.join(sorted(addresses))}"

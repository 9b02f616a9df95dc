"""django-allauth's forms that ask whose an address is: where the site sends mail, only who proved it counts."""

from allauth.account.adapter import get_adapter
from allauth.account.forms import BaseConfirmCodeForm
from allauth.account.forms import ConfirmEmailVerificationCodeForm as AllauthConfirmEmailVerificationCodeForm
from allauth.account.forms import RequestLoginCodeForm as AllauthRequestLoginCodeForm
from allauth.core import context, ratelimit
from django.conf import settings

from apps.accounts import proof


class ProvenAddressMixin:
    """For the forms to sign up with: an address that nobody proved is free."""

    account_already_exists: bool

    def validate_unique_email(self, value: str) -> str:
        if not settings.SENDS_MAIL:
            email: str = super().validate_unique_email(value)  # type: ignore[misc]
            return email
        self.account_already_exists = proof.is_confirmed(value)
        return value


class RequestLoginCodeForm(AllauthRequestLoginCodeForm):  # type: ignore[misc]  # allauth has no types
    """Ask for a code to sign in with."""

    def clean_email(self) -> str:
        # Not by way of allauth's own, which asks more where an address is unknown.
        email: str = self.cleaned_data["email"]
        if not ratelimit.consume(context.request, action="request_login_code", key=email.lower()):
            raise get_adapter().validation_error("too_many_login_attempts")
        self._user = next(iter(proof.people_at(email)), None)
        return email


class ConfirmEmailVerificationCodeForm(AllauthConfirmEmailVerificationCodeForm):  # type: ignore[misc]
    """Prove an address by the code that was mailed to it."""

    def clean_code(self) -> str:
        # Not by way of allauth's own, for which an address that somebody else only typed is taken.
        code: str = BaseConfirmCodeForm.clean_code(self)
        # Who signs up has no account yet, and is told when it is made.
        if self.user and proof.is_confirmed(self.email, but_by=self.user):
            raise get_adapter().validation_error("email_taken")
        return code

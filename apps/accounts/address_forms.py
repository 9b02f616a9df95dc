"""
django-allauth's forms that take an e-mail address.

If the site sends mail, an address belongs to the user who has proved it. Forms that send mail report it if none would
be sent, and keep what was typed.
"""

from allauth.account.adapter import get_adapter
from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import BaseConfirmCodeForm, default_token_generator
from allauth.account.forms import ChangeEmailForm as AllauthChangeEmailForm
from allauth.account.forms import ConfirmEmailVerificationCodeForm as AllauthConfirmEmailVerificationCodeForm
from allauth.account.forms import RequestLoginCodeForm as AllauthRequestLoginCodeForm
from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm
from allauth.core import context, ratelimit
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.accounts import mail, proof
from apps.accounts.models import User


class MailedForm:
    """Mixin for forms of django-allauth that send mail to the address entered."""

    def clean_email(self) -> str:
        address: str = super().clean_email()  # type: ignore[misc]  # of the form this is mixed into
        if address:
            mail.check(context.request, address)
        return address


class NewAddressMixin:
    """Mixin for sign-up forms: an address that no one has proved is free."""

    account_already_exists: bool

    def validate_unique_email(self, value: str) -> str:
        if not proof.can_prove():
            email: str = super().validate_unique_email(value)  # type: ignore[misc]
            return email
        self.account_already_exists = proof.is_confirmed(value)
        return value


class RequestLoginCodeForm(AllauthRequestLoginCodeForm):
    """Request a code to sign in with."""

    def clean_email(self) -> str:
        # Not calling allauth's version, which runs more queries for an unknown address.
        email: str = self.cleaned_data["email"]
        if not ratelimit.consume(context.request, action="request_login_code", key=email.lower()):
            raise get_adapter().validation_error("too_many_login_attempts")
        mail.check(context.request, email)
        self._user = next(iter(proof.people_at(email)), None)
        return email


class ResetPasswordForm(AllauthResetPasswordForm):
    """Request a link to reset the password."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if not settings.SENDS_MAIL:
            self.fields["email"].help_text = _("This site sends no mail. Whoever runs it finds the link in its log.")

    def clean_email(self) -> str:
        # Not calling allauth's version, which runs more queries for an unknown address.
        email: str = get_adapter().clean_email(self.cleaned_data["email"].lower())
        mail.check(context.request, email)
        self.users = proof.people_at(email)
        return email

    def save(self, request: HttpRequest, **kwargs: object) -> str:
        if not self.users:
            # Takes the time that a known address would.
            default_token_generator.make_token(User(pk=0))
        email: str = super().save(request, **kwargs)
        return email


class AddEmailForm(MailedForm, AllauthAddEmailForm):
    """Add an address to an account."""


class ChangeEmailForm(MailedForm, AllauthChangeEmailForm):
    """Change the address while signing up."""


class ConfirmEmailVerificationCodeForm(AllauthConfirmEmailVerificationCodeForm):
    """Prove an address with the code mailed to it."""

    def clean_code(self) -> str:
        # Not calling allauth's version, for which an address is taken even if someone else has only entered it.
        code: str = BaseConfirmCodeForm.clean_code(self)
        # During sign-up there is no account yet; the user is told when it is created.
        if self.user and proof.is_confirmed(self.email, but_by=self.user):
            raise get_adapter().validation_error("email_taken")
        return code

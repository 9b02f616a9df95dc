"""
django-allauth's forms that take an address.

Where the site sends mail, an address is theirs who proved it, and a form that a mail is sent after says so where none
would be sent, and keeps what was typed.
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
    """Mixed into a form of django-allauth with the address that a mail goes to."""

    def clean_email(self) -> str:
        address: str = super().clean_email()  # type: ignore[misc]  # of the form this is mixed into
        if address:
            mail.check(context.request, address)
        return address


class NewAddressMixin:
    """For the forms to sign up with: an address that nobody proved is free."""

    account_already_exists: bool

    def validate_unique_email(self, value: str) -> str:
        if not proof.can_prove():
            email: str = super().validate_unique_email(value)  # type: ignore[misc]
            return email
        self.account_already_exists = proof.is_confirmed(value)
        return value


class RequestLoginCodeForm(AllauthRequestLoginCodeForm):
    """Ask for a code to sign in with."""

    def clean_email(self) -> str:
        # Not by way of allauth's own, which asks more where an address is unknown.
        email: str = self.cleaned_data["email"]
        if not ratelimit.consume(context.request, action="request_login_code", key=email.lower()):
            raise get_adapter().validation_error("too_many_login_attempts")
        mail.check(context.request, email)
        self._user = next(iter(proof.people_at(email)), None)
        return email


class ResetPasswordForm(AllauthResetPasswordForm):
    """Ask for a way to a new password."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if not settings.SENDS_MAIL:
            self.fields["email"].help_text = _("This site sends no mail. Whoever runs it finds the link in its log.")

    def clean_email(self) -> str:
        # Not by way of allauth's own, which asks more where an address is unknown.
        email: str = get_adapter().clean_email(self.cleaned_data["email"].lower())
        mail.check(context.request, email)
        self.users = proof.people_at(email)
        return email

    def save(self, request: HttpRequest, **kwargs: object) -> str:
        if not self.users:
            # What a known address takes.
            default_token_generator.make_token(User(pk=0))
        email: str = super().save(request, **kwargs)
        return email


class AddEmailForm(MailedForm, AllauthAddEmailForm):
    """Add an address to one's account."""


class ChangeEmailForm(MailedForm, AllauthChangeEmailForm):
    """Give another address while one signs up."""


class ConfirmEmailVerificationCodeForm(AllauthConfirmEmailVerificationCodeForm):
    """Prove an address by the code that was mailed to it."""

    def clean_code(self) -> str:
        # Not by way of allauth's own, for which an address that somebody else only typed is taken.
        code: str = BaseConfirmCodeForm.clean_code(self)
        # Who signs up has no account yet, and is told when it is made.
        if self.user and proof.is_confirmed(self.email, but_by=self.user):
            raise get_adapter().validation_error("email_taken")
        return code

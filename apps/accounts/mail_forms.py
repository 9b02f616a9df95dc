"""Forms after which a mail is sent: they say it where it would not be, and keep what was typed."""

from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import ChangeEmailForm as AllauthChangeEmailForm
from allauth.core import context
from django.conf import settings

from apps.accounts import address_forms, mail


class MailedForm:
    """Mixed into a form of django-allauth with the address that a mail goes to."""

    def clean_email(self) -> str:
        address: str = super().clean_email()  # type: ignore[misc]  # of the form this is mixed into
        if address:
            mail.check(context.request, address)
        return address


class MailedSignupForm(MailedForm):
    """The same for signing up, where a mail is sent only if the site sends any."""

    def clean_email(self) -> str:
        if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory":
            return super().clean_email()
        address: str = super(MailedForm, self).clean_email()  # type: ignore[misc]
        return address


class RequestLoginCodeForm(MailedForm, address_forms.RequestLoginCodeForm):
    """Ask for a code to sign in with."""


class AddEmailForm(MailedForm, AllauthAddEmailForm):  # type: ignore[misc]  # allauth has no types
    """Add an address to one's account."""


class ChangeEmailForm(MailedForm, AllauthChangeEmailForm):  # type: ignore[misc]  # allauth has no types
    """Give another address while one signs up."""

"""django-allauth account adapter."""

import logging
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib import messages
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.forms import ModelForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from apps.accounts import again, closing, invitations, known_devices, mail, pending, proof, services
from apps.accounts.backends import find
from apps.accounts.models import User
from apps.core import letters
from apps.core.addresses import client_address
from apps.core.database import is_taken
from apps.core.errors import Refusal
from apps.core.views import problem
from apps.jobs import outgoing

logger = logging.getLogger(__name__)

RESET_LETTER = "account/email/password_reset_key"


class MailNotSentError(ImmediateHttpResponse):
    """A mail could not be sent; carries the error page, in case no form reports it."""


class SiteName:
    """The site's name and domain in mails."""

    name = "Parley"
    domain = settings.SITE_URL.partition("://")[2]


class AccountAdapter(DefaultAccountAdapter):
    """The site's rules for accounts."""

    is_notice = False

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether this browser may sign up: by SIGNUP, by invitation, or to create the first account."""
        if settings.SIGNUP == "open" or not services.people().exists():
            return True
        found = invitations.stashed_in(request) if settings.SIGNUP == "invite" else None
        return found is not None and found.lets_strangers_in

    def save_user(self, request: HttpRequest, user: User, form: "ModelForm[User]", commit: bool = True) -> User:
        """Store a new account and use up its invitation; the first account owns the site."""
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit=commit)
            if commit:
                if not settings.SENDS_MAIL:
                    services.claim_unowned_site(user=saved)
                self.use_invitation(request, saved)
                pending.note_made(request)
        return saved

    def use_invitation(self, request: HttpRequest, user: User) -> None:
        """Use up the invitation that the new account came with, in the same transaction."""
        try:
            invitations.accept_stashed(request, user)
        except Refusal as error:
            if settings.SIGNUP == "invite" and not user.is_site_owner:
                page = problem(request, 403, _("This invitation is not good any more"), str(error))
                raise ImmediateHttpResponse(page) from None
            messages.warning(request, _("Your invitation is not good any more. %(reason)s") % {"reason": error})

    def get_login_stages(self) -> list[str]:
        """Return the steps between a right password and being signed in, with our own for addresses."""
        own = {"allauth.account.stages.EmailVerificationStage": "apps.accounts.stages.ConfirmAddressStage"}
        return [own.get(path, path) for path in super().get_login_stages()]

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Record that the user has proved the address; if two do so at once, only one succeeds."""
        was_unproven = proof.is_unproven(email_address.user)
        try:
            with transaction.atomic():
                closing.lock_all_at(email_address.email, owner=email_address.user)
                confirmed: bool = super().confirm_email(request, email_address)
                if confirmed and was_unproven:
                    closing.settle(user=email_address.user)
                elif confirmed:
                    closing.let_address_go(email=email_address.email, owner=email_address.user)
        except IntegrityError as error:
            if not is_taken(error):
                raise
            messages.error(request, self.error_messages["email_taken"])
            return False
        return confirmed

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address for device lists and rate limits. allauth's version locks users with odd addresses out."""
        return client_address(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count a wrong password until it turns out right: per account, or per device that its owner has used."""
        user = find(credentials.get("email") or credentials.get("username") or "")
        device = known_devices.known_name(request, user)
        if device is None:
            # By the text entered, normalised: many spellings may lead to one account.
            typed = {name: credentials[name] for name in ("username", "email") if credentials.get(name)}
            super().pre_authenticate(request, **{name: letters.key(login) for name, login in typed.items()})
            return
        # Rolled back by django-allauth if the password is right.
        self._login_failed_rl_usage = ratelimit.consume(
            request, app="allauth.account", action="login_failed_in_known_device", key=device
        )
        if not self._login_failed_rl_usage:
            raise self.validation_error("too_many_login_attempts")

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponseBase:
        """Return where to go after signing in by any method, and remember this browser as the user's."""
        response: HttpResponseBase = super().post_login(request, user, **kwargs)
        known_devices.remember(request, response, user)
        return response

    def get_reauthentication_methods(self, user: User) -> list[dict[str, Any]]:
        """Return the ways in which the user can reauthenticate."""
        return super().get_reauthentication_methods(user) or (again.methods_for(user) if user.is_authenticated else [])

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Return whether to ask for it. allauth never asks users without a password or second factor; we do."""
        if again.must_say_again(self.request):
            raise ReauthenticationRequired
        return bool(super().is_reauthentication_required(app=app, **kwargs))

    def is_safe_url(self, url: str) -> bool:
        """Return whether `next` may be followed; an invalid URL is not safe."""
        try:
            safe: bool = super().is_safe_url(url)
        except ValueError:
            return False
        return safe

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """Return the name as it will be stored. Raises ValidationError; with `shallow`, without database queries."""
        if not shallow:
            closing.let_name_go(username)
        return services.clean_username(username, only_characters=shallow)

    def clean_email(self, email: str) -> str:
        """Return the address as it will be stored. Raises ValidationError if no mail can be sent to it."""
        if email:
            mail.check_address(email)
        return email

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail with links to SITE_URL, whatever the Host header, unless the address has had too many."""
        try:
            taken = mail.take(self.request, email, is_notice=self.is_notice)
        except ValueError:
            raise ImmediateHttpResponse(mail.no_address(self.request)) from None
        if taken is None:
            raise ImmediateHttpResponse(mail.too_many(self.request))
        on_site = {key: at_site_url(value) for key, value in context.items() if key.endswith("_url")}
        is_last = taken.is_last and not self.is_notice
        more = {"current_site": SiteName, "is_last": is_last}
        own = {"request": self.request, "email": email}
        message = self.render_mail(template_prefix, email, own | context | on_site | more)
        good_for = mail.good_for_seconds(template_prefix, is_last=is_last)
        waiting = outgoing.queue(message, good_for_seconds=good_for)
        # No user waits for a notice: it is sent when the mail server is back.
        if not self.is_notice and outgoing.could_not_be_sent(waiting):
            taken.give_back()
            raise MailNotSentError(mail.not_sent(self.request))
        if is_last:
            self.tell_other_spellings(email, more)

    def tell_other_spellings(self, email: str, context: dict[str, Any]) -> None:
        """Mail a password reset link to owners of the same mailbox under another spelling: they are locked out too."""
        for one in mail.other_spellings(email):
            link = settings.SITE_URL + mail.way_to_new_password(one.user)
            own = {"request": self.request, "email": one.email, "user": one.user, "username": one.user.username}
            letter = self.render_mail(RESET_LETTER, one.email, own | {"password_reset_url": link} | context)
            # Queued: the response time would otherwise reveal that there is such an address.
            outgoing.queue(letter, good_for_seconds=mail.good_for_seconds(RESET_LETTER, is_last=True))

    def render_mail(
        self, template_prefix: str, email: str, context: dict[str, Any], headers: dict[str, str] | None = None
    ) -> EmailMessage:
        """Return the mail to an ASCII address, marked so that vacation responders don't reply."""
        to = mail.ascii_address(email)
        message: EmailMessage = super().render_mail(template_prefix, to, context, mail.HEADERS | (headers or {}))
        if context["is_last"]:
            message.body += mail.last_words(template_prefix, email)
        return message

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """
        Notify a user of what happened to their account, at an address that they have proved.

        A failure is only logged, since the change itself has already been made.
        """
        if settings.SENDS_MAIL:
            email = proof.address_to_tell(user, email)
            if not email:
                return
        self.is_notice = True
        try:
            super().send_notification_mail(template_prefix, user, context, email)
        except ImmediateHttpResponse:
            logger.warning("A notice about an account was not sent.")
        finally:
            self.is_notice = False


def at_site_url(address: str) -> str:
    """Move a URL to SITE_URL, keeping its path."""
    parts = urlsplit(address)
    return settings.SITE_URL + parts._replace(scheme="", netloc="").geturl()

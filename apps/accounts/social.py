"""django-allauth's adapter for sign-in providers."""

import logging
from typing import Any

from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.base import AuthError
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import render

from apps.accounts.elsewhere import guard, issuers
from apps.accounts.elsewhere.answers import BadAnswerError
from apps.accounts.elsewhere.calls import ProviderSession
from apps.accounts.models import User
from apps.accounts.names import normalized
from apps.core import letters

logger = logging.getLogger(__name__)
MAX_LOGGED_CHARACTERS = 200


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """The site's rules for signing in with a provider."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """
        Refuse a new user whose confirmed address belongs to an existing account.

        They are told to sign in to that account and connect the two. Its existence is no secret to them, since the
        provider confirms that the address is theirs.
        """
        if sociallogin.is_existing or sociallogin.state.get("process") != "login":
            return
        theirs = [one.email.lower() for one in sociallogin.email_addresses if one.verified]
        if EmailAddress.objects.filter(email__in=theirs, verified=True).exists():
            context = {"provider": sociallogin.provider}
            raise ImmediateHttpResponse(render(request, "socialaccount/address_taken.html", context, status=409))

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        """Return the provider, made to validate what it is told."""
        return guard.believing(super().get_provider(request, provider, client_id))

    def deserialize_instance(self, model: Any, data: Any) -> Any:
        """Raise ValueError for a sign-up that began before accounts had an issuer; it has to be restarted."""
        found = super().deserialize_instance(model, data)
        is_of_none = isinstance(found, SocialAccount) and not found.extra_data.get(issuers.ISSUER)
        if is_of_none and found.provider in issuers.present():
            raise ValueError(found.provider)
        return found

    def get_requests_session(self) -> ProviderSession:
        """Return the session for requests to providers, limited in time, size and number."""
        return ProviderSession()

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        """Log why a user could not sign in; the page tells them what to do."""
        if error == AuthError.CANCELLED:
            return
        # Other libraries' messages may contain a whole response after a colon, tokens included.
        reason = str(exception) if isinstance(exception, BadAnswerError) else str(exception).partition(": ")[0]
        shown = reason if exception else f"it came back with {request.GET.get('error', 'no answer')!r}"
        logger.warning("Nobody is signed in by %s: %s", getattr(provider, "sub_id", "a provider"), one_line(shown))

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """Store a new user and their link to the provider, in one transaction."""
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            return user

    def get_signup_form_initial_data(self, sociallogin: Any) -> dict[str, Any]:
        """Return initial values for the form; the username is reduced to what is allowed here."""
        initial: dict[str, Any] = super().get_signup_form_initial_data(sociallogin)
        initial["username"] = suggested_username(initial)
        return initial


def one_line(text: str) -> str:
    """Return untrusted text in a form safe for the log."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text[:MAX_LOGGED_CHARACTERS])
    return kept.encode(errors="replace").decode()


def suggested_username(initial: dict[str, Any]) -> str:
    """Return a username from the provider's data: its own, or else the name, without invalid characters."""
    for text in (initial["username"], f"{initial['first_name']} {initial['last_name']}".strip().replace(" ", ".")):
        seen = letters.INVISIBLE.sub("", normalized(text.partition("@")[0]))
        kept = "".join(letter for letter in seen if letters.is_word_letter(letter) or letter in ".+-_")
        if kept := kept.strip(".+-_")[:40]:
            return kept
    return ""

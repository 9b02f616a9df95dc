"""Where django-allauth asks this site how it wants things done with accounts that people have elsewhere."""

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
    """The site's rules for signing in from elsewhere."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """
        Send back who is new here under a confirmed address that an account already has.

        They are told to sign in to that account and connect the two. That it exists is no secret to them: the
        provider says the address is theirs.
        """
        if sociallogin.is_existing or sociallogin.state.get("process") != "login":
            return
        theirs = [one.email.lower() for one in sociallogin.email_addresses if one.verified]
        if EmailAddress.objects.filter(email__in=theirs, verified=True).exists():
            context = {"provider": sociallogin.provider}
            raise ImmediateHttpResponse(render(request, "socialaccount/address_taken.html", context, status=409))

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        """A provider that believes nothing that is not plain."""
        return guard.believing(super().get_provider(request, provider, client_id))

    def deserialize_instance(self, model: Any, data: Any) -> Any:
        """Raises ValueError for a sign-up that was begun when accounts were of no issuer; it has to begin anew."""
        found = super().deserialize_instance(model, data)
        is_of_none = isinstance(found, SocialAccount) and not found.extra_data.get(issuers.ISSUER)
        if is_of_none and found.provider in issuers.present():
            raise ValueError(found.provider)
        return found

    def get_requests_session(self) -> ProviderSession:
        """What providers are asked with: limits of time, size and number."""
        return ProviderSession()

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        """Say in a line of the log why somebody could not sign in; they are told what to do by a page."""
        if error == AuthError.CANCELLED:
            return
        # What is not ours may hold a whole answer behind a colon, tokens included.
        reason = str(exception) if isinstance(exception, BadAnswerError) else str(exception).partition(": ")[0]
        shown = reason if exception else f"it came back with {request.GET.get('error', 'no answer')!r}"
        logger.warning("Nobody is signed in by %s: %s", getattr(provider, "sub_id", "a provider"), one_line(shown))

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """Store a new account and what leads to it. It is welcomed by the account adapter, as any other."""
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            return user

    def get_signup_form_initial_data(self, sociallogin: Any) -> dict[str, Any]:
        """What the form is filled with: the user name only where it could be one here."""
        initial: dict[str, Any] = super().get_signup_form_initial_data(sociallogin)
        initial["username"] = suggested_username(initial)
        return initial


def one_line(text: str) -> str:
    """What a stranger may have chosen, as it can stand in a log."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text[:MAX_LOGGED_CHARACTERS])
    return kept.encode(errors="replace").decode()


def suggested_username(initial: dict[str, Any]) -> str:
    """A user name made of what the provider knows: its own, else the name, without what ours cannot have."""
    for text in (initial["username"], f"{initial['first_name']} {initial['last_name']}".strip().replace(" ", ".")):
        seen = letters.INVISIBLE.sub("", normalized(text.partition("@")[0]))
        kept = "".join(letter for letter in seen if letters.is_word_letter(letter) or letter in ".+-_")
        if kept := kept.strip(".+-_")[:40]:
            return kept
    return ""

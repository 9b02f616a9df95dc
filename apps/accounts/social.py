"""Where django-allauth asks this site how it wants things done with accounts that people have elsewhere."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import render

from apps.accounts.models import User


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
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


def suggested_username(initial: dict[str, Any]) -> str:
    """A user name made of what the provider knows: its own, else the name, without what ours cannot have."""
    for text in (initial["username"], f"{initial['first_name']} {initial['last_name']}".strip().replace(" ", ".")):
        kept = "".join(letter for letter in text.partition("@")[0] if letter.isalnum() or letter in ".+-_")
        if kept := kept.strip(".+-_")[:40]:
            return kept
    return ""

"""Where django-allauth asks this site how it wants things."""

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest

from apps.accounts import services
from apps.accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """The site's rules for accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """With SIGNUP closed or by invitation, only the site's first account can be made here."""
        return settings.SIGNUP == "open" or not User.objects.exists()

    def save_user(self, request: HttpRequest, user: User, form: "ModelForm[User]", commit: bool = True) -> User:
        """Store a new account; the first one becomes the site's owner."""
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit=commit)
            if commit:
                services.claim_unowned_site(user=saved)
        return saved

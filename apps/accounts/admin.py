"""
Django's admin for the site's owners, for what the site's own pages don't offer.

It bypasses those pages and their rules, so it contains little: no secrets, and nothing that users wrote.
"""

from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts import services
from apps.accounts.guards import recently_authenticated
from apps.accounts.models import User

# django-allauth would show keys, tokens and provider data here, all editable. Users manage their own on their account
# pages; providers are configured in the environment; permissions follow from roles.
for model in (EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession, Authenticator, Group):
    admin.site.unregister(model)


class PersonCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # not generic at run time
    """Create an account as an owner, with the usual rule for usernames."""

    def clean_username(self) -> str:
        return services.clean_username(self.cleaned_data["username"])


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]  # not generic at run time
    """
    Users. Usernames are changed only by their owners, so that the old ones stay reserved.

    Accounts can't be deleted and roles not assigned here: both follow rules that keep the site's owner
    (apps/accounts/closing.py, /site/). Passwords of owners can't be set, not even the viewer's own: changing it takes
    the old one.
    """

    add_form = PersonCreationForm
    list_display = ("username", "display_name", "role", "is_active")
    list_filter = ("role", "is_active")
    search_fields = ("username", "display_name")
    fieldsets = (
        (
            None,
            {"fields": ("username", "display_name", "email", "role", "password_link", "is_active")},
        ),
        (gettext_lazy("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ()

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        given = ("username", "display_name", "email", "role", "password_link", "last_login", "date_joined")
        # Anyone else can be deactivated here; an owner's role has to be taken away first, by the rules.
        return (*given, "is_active") if obj.is_site_owner else given

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("Password"))
    def password_link(self, obj: User) -> str | SafeString:
        """Link to setting a new password. Django's own field shows the beginning of the hash."""
        if obj.is_site_owner:
            return "–"
        address = reverse("admin:auth_user_password_change", args=[obj.pk])
        return format_html('<a href="{}">{}</a>', address, _("Set a new password"))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        user = self.get_object(request, unquote(id))
        if user and user.is_site_owner:
            raise PermissionDenied
        ask = recently_authenticated(super().user_change_password)
        return ask(request, id, form_url)


@admin.register(Authenticator)
class FactorAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """
    Lists second factors without their secrets, and removes one for a user who has lost it.

    Not an owner's, and not the last one of a user who must have one: their role has to be taken away first.
    """

    list_display = fields = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("type",)
    search_fields = ("user__username",)
    # Bulk deletion would bypass the rules.
    actions = None

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Otherwise ?data__contains= would reveal the secrets letter by letter.
        return not lookup.startswith("data") and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Authenticator | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Authenticator | None = None) -> bool:
        if obj is None:
            return True
        return not obj.user.is_site_owner and bool(get_mfa_adapter().can_delete_authenticator(obj))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return recently_authenticated(super().delete_view)(request, object_id, extra_context)

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        user, was = obj.user, obj.type
        obj.delete()
        delete_dangling_recovery_codes(user)
        prefix = "mfa/email/webauthn_removed" if was == Authenticator.Type.WEBAUTHN else "mfa/email/totp_deactivated"
        # Without the owner's IP address and browser, which the mail would include.
        by_whom = {"ip": "–", "user_agent": _("an owner of this site")}
        get_account_adapter(request).send_notification_mail(prefix, user, by_whom)

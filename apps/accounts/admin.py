from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.http import HttpRequest

from apps.accounts import services
from apps.accounts.models import User


class PersonCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # it takes none at run time
    """A new account by an owner's hand, with the same rule for names as everywhere."""

    def clean_username(self) -> str:
        return services.clean_username(self.cleaned_data["username"])


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]  # it takes none at run time
    """
    People. Names are changed by their bearers, so that the old ones stay reserved.

    Accounts are not deleted here, and roles not given: both follow rules that keep the site's owner, without whom
    the next stranger who signs up would own it (apps/accounts/closing.py, /site/).
    """

    add_form = PersonCreationForm

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        given: tuple[str, ...] = tuple(super().get_readonly_fields(request, obj))
        if obj is None:
            return given
        given += ("username", "is_staff", "is_superuser", "groups", "user_permissions")
        # Anyone else can be switched off here; an owner's role is taken away first, by the rules.
        return (*given, "is_active") if obj.is_site_owner else given

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

"""Verbs about accounts."""

from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from apps.accounts.models import User


@transaction.atomic
def claim_unowned_site(*, user: User) -> None:
    """Make `user` the owner of a site that has none: the role, and the keys to Django's admin."""
    # Any row that is always there serves as the lock between two people who sign up first at once.
    ContentType.objects.select_for_update().get(app_label="accounts", model="user")
    if User.objects.filter(role=User.Role.OWNER).exists():
        return
    user.role = User.Role.OWNER
    user.is_staff = user.is_superuser = True
    user.save(update_fields=["role", "is_staff", "is_superuser"])

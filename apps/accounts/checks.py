"""What `manage.py check --database default` looks at, and `manage.py migrate` before each start."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import DatabaseError


def site_has_an_owner(*, databases: Sequence[str] | None = None, **options: Any) -> list[CheckMessage]:
    """A site with accounts and without an owner has nobody who could give roles."""
    # Imported here: checks are registered before there are models.
    from apps.accounts import services
    from apps.accounts.models import User

    if not databases:
        return []
    try:
        is_lived_in_and_unowned = User.objects.exists() and not services.has_owner()
    except DatabaseError:
        return []  # before the first migration, or while the database is away, which others say
    return [Warning(services.NO_OWNER, id="accounts.W001")] if is_lived_in_and_unowned else []

"""Deleting expired sessions, which nothing else does; some hold unfinished sign-ups with a password's hash."""

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from apps.core import limits


def delete_some() -> int:
    """Delete a batch, skipping rows that other processes are deleting; return how many went."""
    with transaction.atomic():
        expired = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
        keys = list(
            expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[: limits.MAX_SWEPT_SESSIONS]
        )
        return Session.objects.filter(pk__in=keys).delete()[0] if keys else 0

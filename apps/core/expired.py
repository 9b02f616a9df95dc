"""Expired sessions, which nothing else would ever delete; some hold half a sign-up, with a digest of its password."""

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from apps.core import limits


def sweep() -> int:
    """Delete some of them, leaving those to other processes that they are deleting just now; gives how many."""
    with transaction.atomic():
        expired = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
        keys = list(
            expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[: limits.MAX_SWEPT_SESSIONS]
        )
        return Session.objects.filter(pk__in=keys).delete()[0] if keys else 0

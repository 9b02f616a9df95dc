"""What of accounts is cleaned up in time."""

from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.accounts import services
from apps.core import limits
from apps.jobs.job import job


@job(every=timedelta(hours=1))
def forget_devices() -> None:
    """
    Delete some of the devices whose sessions have ended, with their addresses, and the rest in further jobs.

    The list of one's devices does that for who looks at it.
    """
    session = Session.objects.filter(pk=OuterRef("session_key"))
    # Not at once: a session that begins may be stored after its device.
    ended = UserSession.objects.filter(~Exists(session), last_seen_at__lt=timezone.now() - timedelta(days=1))
    keys = list(ended.values_list("pk", flat=True)[: limits.MAX_SWEPT_SESSIONS])
    UserSession.objects.filter(pk__in=keys).delete()
    if len(keys) == limits.MAX_SWEPT_SESSIONS:
        forget_devices.enqueue()


@job(every=timedelta(minutes=10))
def give_missing_keys() -> None:
    """See services.give_missing_keys: until the last process of an older version has ended there may be more."""
    services.give_missing_keys()

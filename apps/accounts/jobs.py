"""Housekeeping jobs for accounts."""

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
    Delete a batch of devices, with their IP addresses, whose sessions have ended; the rest in further jobs.

    Users who open their list of devices have that done immediately.
    """
    session = Session.objects.filter(pk=OuterRef("session_key"))
    # Not immediately: a new session may be stored after its device.
    ended = UserSession.objects.filter(~Exists(session), last_seen_at__lt=timezone.now() - timedelta(days=1))
    keys = list(ended.values_list("pk", flat=True)[: limits.MAX_SWEPT_SESSIONS])
    UserSession.objects.filter(pk__in=keys).delete()
    if len(keys) == limits.MAX_SWEPT_SESSIONS:
        forget_devices.enqueue()


@job(every=timedelta(minutes=10))
def give_missing_keys() -> None:
    """See services.give_missing_keys: until the last process of an older version has ended there may be more."""
    services.give_missing_keys()

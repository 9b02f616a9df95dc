"""Housekeeping jobs: delete expired sessions, finished jobs, old mails and dead workers."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.core import expired_sessions, limits
from apps.jobs import outgoing
from apps.jobs.job import job
from apps.jobs.models import OutgoingMail, StoredJob, Worker

__all__ = ["delete_expired_sessions", "outgoing", "prune"]


@job(every=timedelta(minutes=10))
def delete_expired_sessions() -> None:
    """Delete a batch of expired sessions, and the rest in further jobs, so that other jobs get their turn."""
    if expired_sessions.delete_some() == limits.MAX_SWEPT_SESSIONS:
        delete_expired_sessions.enqueue()


@job(every=timedelta(hours=1))
def prune() -> None:
    """Delete old rows of finished jobs, mails and dead workers."""
    now = timezone.now()
    done, failed = (now - timedelta(days=days) for days in (limits.KEPT_JOBS_DAYS, limits.KEPT_FAILED_JOBS_DAYS))
    deleted = [
        delete_some(StoredJob.objects.successful().filter(finished_at__lt=done)),
        delete_some(StoredJob.objects.failed().filter(finished_at__lt=failed)),
        delete_some(OutgoingMail.objects.filter(expires_at__lt=done)),
        delete_some(Worker.objects.filter(seen_at__lt=Now() - timedelta(days=1))),
    ]
    if limits.MAX_PRUNED_ROWS in deleted:
        prune.enqueue()


def delete_some(rows: "QuerySet[Any]") -> int:
    """Delete a batch that is small enough to delay no one; return its size."""
    keys = list(rows.order_by().values_list("pk", flat=True)[: limits.MAX_PRUNED_ROWS])
    return rows.model._base_manager.filter(pk__in=keys).delete()[0] if keys else 0

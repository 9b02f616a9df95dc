"""Periodic jobs: each is enqueued once per period, however many processes check."""

from datetime import datetime, timedelta

from django.db import transaction
from django_tasks.base import TaskResultStatus

from apps.jobs.job import known
from apps.jobs.models import Periodic, StoredJob

# A time further ahead than its interval and this was noted by a process whose clock was wrong.
MAX_CLOCK_AHEAD = timedelta(days=1)

UNFINISHED = (TaskResultStatus.READY, TaskResultStatus.RUNNING)


def enqueue_due(now: datetime) -> list[str]:
    """Enqueue the periodic jobs that are due; return their paths."""
    regular = {path: job.every for path, job in known.items() if job.every}
    rows = dict(Periodic.objects.filter(path__in=regular).values_list("path", "next_at"))
    if missing := regular.keys() - rows.keys():
        # A job that has never run is due immediately.
        Periodic.objects.bulk_create([Periodic(path=path, next_at=now) for path in missing], ignore_conflicts=True)
    due = [path for path, next_at in rows.items() if not now < next_at <= now + regular[path] + MAX_CLOCK_AHEAD]
    return [path for path in due if take_turn(path, before=rows[path], after=now + regular[path])]


@transaction.atomic
def take_turn(path: str, *, before: datetime, after: datetime) -> bool:
    """Take this period's turn, unless another process has. The job is not enqueued while the last one is unfinished."""
    if not Periodic.objects.filter(path=path, next_at=before).update(next_at=after):
        return False
    if not StoredJob.objects.filter(task_path=path, status__in=UNFINISHED).exists():
        known[path].enqueue()
    return True

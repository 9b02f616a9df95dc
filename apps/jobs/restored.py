"""Clear what must not run again after a backup is restored."""

from typing import Any

from django.dispatch import receiver
from django_tasks.base import TaskResultStatus

from apps.core.signals import restored
from apps.jobs.job import NETWORK
from apps.jobs.models import OutgoingMail, StoredJob, Worker

UNFINISHED = (TaskResultStatus.READY, TaskResultStatus.RUNNING)


@receiver(restored)
def send_nothing_again(**kwargs: Any) -> str:
    """
    Delete mails and network jobs that were waiting: they have been sent since the backup, or are out of date.

    Jobs that only change the database are kept: the restored database lacks their effects.
    """
    Worker.objects.all().delete()
    mails, _ = OutgoingMail.objects.exclude(sealed=b"").delete()
    StoredJob.objects.filter(queue_name=NETWORK, status__in=UNFINISHED).delete()
    return f"Mails that were waiting to be sent, and are not: {mails}." if mails else ""

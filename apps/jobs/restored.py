"""What of jobs must not come back with a restored database."""

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
    Drop what waited to be sent: it has been sent since the backup, or is old.

    Jobs that change the database alone are done again, since the database is as if they had not been.
    """
    Worker.objects.all().delete()
    mails, _ = OutgoingMail.objects.exclude(sealed=b"").delete()
    StoredJob.objects.filter(queue_name=NETWORK, status__in=UNFINISHED).delete()
    return f"Mails that were waiting to be sent, and are not: {mails}." if mails else ""

"""Workers, the schedule of periodic jobs, and outgoing mail. The jobs themselves are rows of django-tasks-db."""

import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_tasks_db.models import DBTaskResult


class Worker(models.Model):
    """A process that runs jobs, with the time of its last heartbeat by the database's clock."""

    class Kind(models.TextChoices):
        WEB = "web", _("Web process")
        WORKER = "worker", _("Worker")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    machine = models.CharField(max_length=255)
    number = models.PositiveIntegerField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.number}, {self.machine}"


class Periodic(models.Model):
    """When a periodic job is enqueued next."""

    path = models.CharField(primary_key=True, max_length=200)
    next_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.path


class OutgoingMail(models.Model):
    """A mail to send, or one that was sent or dropped (outgoing.py)."""

    # The whole mail, encrypted; emptied when it is sent or dropped.
    sealed = models.BinaryField()
    # A keyed digest of the address.
    receiver = models.CharField(max_length=64, db_index=True)
    # Its content (a code, a link) is useless after this.
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    # When the mail server last rejected it or was unreachable.
    failed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"mail {self.pk}"


class StoredJob(DBTaskResult[Any, Any]):
    """A job's row, under a name of ours for the admin."""

    class Meta:
        proxy = True
        verbose_name = _("job")
        verbose_name_plural = _("jobs")

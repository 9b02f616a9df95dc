"""Who does jobs, and when those that come again are due. The jobs themselves are rows of django-tasks-db."""

import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_tasks_db.models import DBTaskResult


class Worker(models.Model):
    """A process that does jobs, and when it was last heard of, by the database's clock."""

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
    """When a job that comes again is enqueued next."""

    path = models.CharField(primary_key=True, max_length=200)
    next_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.path


class OutgoingMail(models.Model):
    """A mail that the site sends (outgoing.py)."""

    # All of it, encrypted; empty once it was sent, or will not be.
    sealed = models.BinaryField()
    # A digest of the address, with the site's key.
    receiver = models.CharField(max_length=64, db_index=True)
    # What it holds is worth nothing after this.
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    # The last time that the mail server did not take it.
    failed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"mail {self.pk}"


class StoredJob(DBTaskResult[Any, Any]):
    """A job's row, by the name that the admin shows."""

    class Meta:
        proxy = True
        verbose_name = _("job")
        verbose_name_plural = _("jobs")

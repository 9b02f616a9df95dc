"""Who serves the site at present."""

import uuid

from django.db import models


class Process(models.Model):
    """A process that serves: what it goes by, and when it was last heard of, by the database's clock (cluster.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    machine = models.CharField(max_length=255)
    number = models.PositiveIntegerField()
    # Digests and settings, by the names in facts.py.
    facts = models.JSONField()
    # By how many seconds its clock is ahead of the database's.
    clock = models.FloatField()
    beat_at = models.DateTimeField()
    # Since when it agrees with all who agreed before it; None while it does not.
    agreed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"process {self.number} on {self.machine}"

"""The processes that serve the site."""

import uuid

from django.db import models


class Process(models.Model):
    """A serving process with its facts and its last sign of life, by the database's clock (cluster.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    machine = models.CharField(max_length=255)
    number = models.PositiveIntegerField()
    # Hashes and settings, under the names in facts.py.
    facts = models.JSONField()
    # Seconds that its clock is ahead of the database's.
    clock = models.FloatField()
    beat_at = models.DateTimeField()
    # Since when it agrees with all that agreed before it; None while it doesn't.
    agreed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"process {self.number} on {self.machine}"

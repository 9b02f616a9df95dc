"""Cleanup of process rows after a restore."""

from typing import Any

from django.dispatch import receiver

from apps.core.models import Process
from apps.core.signals import restored


@receiver(restored)
def forget_processes(**kwargs: Any) -> str:
    """Delete the processes that served when the backup was made: new ones need not agree with them."""
    Process.objects.all().delete()
    return ""

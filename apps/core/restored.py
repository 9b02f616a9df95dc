"""What of the processes must not come back with a restored database."""

from typing import Any

from django.dispatch import receiver

from apps.core.models import Process
from apps.core.signals import restored


@receiver(restored)
def forget_processes(**kwargs: Any) -> str:
    """Those that served when the backup was made are none that a new one must agree with."""
    Process.objects.all().delete()
    return ""

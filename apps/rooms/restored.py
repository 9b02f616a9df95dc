"""Invalidate what must not come back with a restored database."""

from typing import Any

from django.dispatch import receiver

from apps.core.signals import restored
from apps.rooms.models import RoomInvitation


@receiver(restored)
def withdraw_invitations(**kwargs: Any) -> str:
    """Withdraw pending invitations, which may have been withdrawn or declined since the backup; keep declined ones."""
    count, _ = RoomInvitation.objects.filter(declined_at=None).delete()
    return f"Invitations into rooms withdrawn: {count}. Invite again." if count else ""

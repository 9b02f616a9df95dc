"""Account data that must not become valid again after a restore."""

from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import F
from django.dispatch import receiver
from django.utils import timezone

from apps.accounts.models import Invitation, User
from apps.core.signals import restored


@receiver(restored)
def end_sessions(**kwargs: Any) -> str:
    """
    Sign everyone out, and invalidate codes and links sent before the restore.

    A user may have signed out or discarded a device since the backup. Codes are in the session; a password reset link
    becomes invalid when date_joined changes (apps/accounts/tokens.py), which is never shown to the microsecond.
    """
    count, _ = Session.objects.all().delete()
    UserSession.objects.all().delete()
    User.objects.update(date_joined=F("date_joined") + timedelta(microseconds=1))
    return f"Sessions ended: {count}. Everybody signs in again, with the password that they had then." if count else ""


@receiver(restored)
def withdraw_invitations(**kwargs: Any) -> str:
    """Revoke all open invitations: each may have been used or revoked since the backup."""
    # Not `usable`: one that doesn't work now may work again when its creator's role changes.
    open_ones = Invitation.objects.filter(revoked_at=None, uses__lt=F("most_uses"), expires_at__gt=timezone.now())
    count = open_ones.update(revoked_at=timezone.now())
    return f"Invitations revoked, since they may have been used: {count}. Make new ones." if count else ""

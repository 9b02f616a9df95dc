"""What of accounts must not come back with a restored database."""

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
    Sign everybody out, and leave no code or link that was sent before.

    Somebody may have signed out since the backup, or thrown a device away. Codes stand in the session; a link to a new
    password is spent by another moment of joining (apps/accounts/tokens.py), which nobody is shown so exactly.
    """
    count, _ = Session.objects.all().delete()
    UserSession.objects.all().delete()
    User.objects.update(date_joined=F("date_joined") + timedelta(microseconds=1))
    return f"Sessions ended: {count}. Everybody signs in again, with the password that they had then." if count else ""


@receiver(restored)
def withdraw_invitations(**kwargs: Any) -> str:
    """Each may have been used or revoked since the backup, and would let somebody in once more."""
    # Not `usable`: what is worth nothing just now may be good again with its maker's role.
    open_ones = Invitation.objects.filter(revoked_at=None, uses__lt=F("most_uses"), expires_at__gt=timezone.now())
    count = open_ones.update(revoked_at=timezone.now())
    return f"Invitations revoked, since they may have been used: {count}. Make new ones." if count else ""

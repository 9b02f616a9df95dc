"""Apply account events to open pages."""

from functools import partial
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.auth import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts.models import SiteRules, User
from apps.accounts.second_factor import staff_without_one
from apps.core.signals import replaced
from apps.live import broadcast
from apps.live.process import serving_process


@receiver(user_logged_out)
def end_pages_of_session(request: HttpRequest, **kwargs: Any) -> None:
    """End all of a browser's pages when its user signs out in one tab."""
    if session_key := request.session.session_key:
        transaction.on_commit(lambda: broadcast.sign_out(session_key), robust=True)


@receiver(post_save, sender=User)
def look_at_pages_of_user(
    instance: User, created: bool, raw: bool, update_fields: frozenset[str] | None, **kwargs: Any
) -> None:
    """Check a user's open pages after a new password, deactivation, or a new role, which may require more."""
    if not created and not raw and (update_fields is None or {"password", "is_active", "role"} & update_fields):
        transaction.on_commit(lambda: broadcast.check_user(instance.pk), robust=True)


@receiver(post_save, sender=SiteRules)
def look_at_pages_of_staff(raw: bool, **kwargs: Any) -> None:
    """Check the open pages of staff without a second factor, which the site's rules may now require."""
    for user_id in set() if raw else staff_without_one():
        transaction.on_commit(partial(broadcast.check_user, user_id), robust=True)


@receiver(post_delete, sender=UserSession)
def end_pages_of_ended_session(instance: UserSession, **kwargs: Any) -> None:
    """End the pages of a device that was signed out from another one."""
    transaction.on_commit(lambda: broadcast.sign_out(instance.session_key), robust=True)


@receiver(post_delete, sender=User)
def end_pages_of_deleted_user(instance: User, **kwargs: Any) -> None:
    """End all pages of a deleted user."""
    user_id = instance.pk  # cleared on the instance after the deletion
    transaction.on_commit(lambda: broadcast.check_user(user_id), robust=True)


@receiver(replaced)
def look_at_the_database(**kwargs: Any) -> None:
    """Compare at once when the database was replaced or restored to an earlier state."""
    if process := serving_process():
        process.loop.call_soon_threadsafe(process.watch.look_soon)

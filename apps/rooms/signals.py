"""Every new account is a member of the lobby."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from apps.accounts.models import User
from apps.rooms import services
from apps.rooms.models import Room


@receiver(post_save, sender=User)
def join_lobby(instance: User, created: bool, raw: bool, **kwargs: Any) -> None:
    """Runs for accounts however they were made; not for those loaded from a fixture, which brings its own."""
    if created and not raw:
        lobby = Room.objects.filter(is_lobby=True).first()
        if lobby:
            services.add_member(room=lobby, user=instance)

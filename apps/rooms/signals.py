"""Apply account events to rooms."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils.translation import gettext as _

from apps.accounts.closing import account_closing
from apps.accounts.invitations import invitation_accepted
from apps.accounts.models import Invitation, User
from apps.core.errors import Refusal
from apps.rooms import services
from apps.rooms.access import NoSuchRoom, room_for
from apps.rooms.changes import room_changed, tell_places_changed
from apps.rooms.models import Room


@receiver(post_save, sender=User)
def join_lobby(instance: User, created: bool, raw: bool, **kwargs: Any) -> None:
    """Add every new account to the lobby, however it was created, unless a fixture brings its own memberships."""
    if created and not raw:
        lobby = Room.objects.filter(is_lobby=True).first()
        if lobby:
            services.add_member(room=lobby, user=instance)


@receiver(invitation_accepted)
def join_room(invitation: Invitation, user: User, **kwargs: Any) -> None:
    """Add a user who accepts an invitation link to its room, if its creator may still add people."""
    if invitation.room is None:
        return
    if not may_let_people_in(invitation.made_by, invitation.room):
        raise Refusal(_("Who invited you may no longer let people into this room. Ask one of its owners."))
    # Links are passed around, so they don't lift a removal: only an invitation by name does.
    services.join_room(room=invitation.room, user=user)


def may_let_people_in(user: User, room: Room) -> bool:
    """Return whether the user may add others to the room now."""
    try:
        visit = room_for(user, room.slug)
    except NoSuchRoom:
        return False
    return visit.may_moderate and not room.is_archived


@receiver(account_closing)
def leave_rooms(user: User, **kwargs: Any) -> None:
    """Remove a closing account from every room; rooms it alone owned are handed over or deleted."""
    services.leave_all_rooms(user=user)


@receiver(room_changed)
def tell_whose_places_changed(user: User | None, actor: User | None, **kwargs: Any) -> None:
    """Have open pages show the rooms of a user who joined, left or opened one."""
    if moved := user or actor:
        tell_places_changed(moved.pk)

"""What happens to accounts happens in rooms too."""

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
from apps.rooms.models import Room


@receiver(post_save, sender=User)
def join_lobby(instance: User, created: bool, raw: bool, **kwargs: Any) -> None:
    """Every new account is in the lobby, however it was made; not one loaded from a fixture, which brings its own."""
    if created and not raw:
        lobby = Room.objects.filter(is_lobby=True).first()
        if lobby:
            services.add_member(room=lobby, user=instance)


@receiver(invitation_accepted)
def join_room(invitation: Invitation, user: User, **kwargs: Any) -> None:
    """Who accepts an invitation to a room is in it, if who made it may still let people in."""
    if invitation.room is None:
        return
    if not may_let_people_in(invitation.made_by, invitation.room):
        raise Refusal(_("Who invited you may no longer let people into this room. Ask one of its owners."))
    # A link goes from hand to hand: it does not lift a removal, which takes an invitation by name.
    services.join_room(room=invitation.room, user=user)


def may_let_people_in(user: User, room: Room) -> bool:
    """Whether this person may put others into the room as it is now."""
    try:
        visit = room_for(user, room.slug)
    except NoSuchRoom:
        return False
    return visit.may_moderate and not room.is_archived


@receiver(account_closing)
def leave_rooms(user: User, **kwargs: Any) -> None:
    """Who goes leaves all rooms; those that are theirs alone pass to somebody else, or go."""
    services.leave_all_rooms(user=user)

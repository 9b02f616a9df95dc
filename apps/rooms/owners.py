"""Who owns a room, and what a room without owners or members would mean."""

from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core.errors import Refusal
from apps.rooms.models import Membership, Room


def has_owner(room: Room) -> bool:
    """
    Return whether the room has an owner. The lobby always has: the site's owners.

    A deactivated owner keeps the room until the account is closed: they may return, and until then no one should get
    the room by joining it.
    """
    return room.is_lobby or room.memberships.filter(role=Membership.Role.OWNER).exists()


def is_last_owner(room: Room, user: User) -> bool:
    """Return whether the user owns the room and no other active user does."""
    owners = room.memberships.filter(role=Membership.Role.OWNER)
    return owners.filter(user=user).exists() and not owners.filter(user__is_active=True).exclude(user=user).exists()


def refuse_to_lose_last_owner(room: Room, owner: User) -> None:
    """Raise Refusal if this is the room's last owner."""
    if is_last_owner(room, owner):
        raise Refusal(_("A room needs an owner. Hand it over to another member first."))


def is_lost_without_members(room: Room) -> bool:
    """Return whether the room would be unreachable without members, though its name would stay taken."""
    return room.access == Room.Access.PRIVATE and not room.is_lobby


def refuse_to_lose_sight(room: Room) -> None:
    """Raise Refusal if the room would be unreachable without members."""
    if is_lost_without_members(room):
        raise Refusal(
            _("Nobody could find this private room without you. Delete it in its settings, or make it open first.")
        )

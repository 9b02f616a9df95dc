"""What rooms store about a user, for their data export."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from apps.accounts import exports
from apps.accounts.models import User
from apps.rooms.models import Ban, RoomInvitation


def rooms_of_person(user: User) -> Iterator[dict[str, Any]]:
    """Yield the user's rooms, with when they joined."""
    for membership in user.memberships.select_related("room").order_by("pk"):
        yield {
            "room": membership.room.name,
            "address": membership.room.get_absolute_url(),
            "role": membership.get_role_display(),
            "joined_at": membership.joined_at,
            "announces": membership.get_announces_display(),
            "messages_read": membership.read_count,
        }


def invitations_of_person(user: User) -> Iterator[dict[str, Any]]:
    """Yield the room invitations by name that the user received or sent."""
    concerned = RoomInvitation.objects.filter(Q(user=user) | Q(inviter=user))
    for invitation in concerned.select_related("room", "user", "inviter").order_by("pk"):
        yield {
            "room": invitation.room.name,
            "user": invitation.user.username,
            "inviter": invitation.inviter.username,
            "created_at": invitation.created_at,
            "declined_at": invitation.declined_at,
        }


def removals_of_person(user: User) -> Iterator[dict[str, Any]]:
    """Yield the removals of the user and by the user; not who removed them, which is the other user's data."""
    for ban in Ban.objects.filter(Q(user=user) | Q(by=user)).select_related("room", "user").order_by("pk"):
        yield {"room": ban.room.name, "user": ban.user.username, "created_at": ban.created_at}


exports.register("rooms.json", rooms_of_person)
exports.register("room_invitations.json", invitations_of_person)
exports.register("removals.json", removals_of_person)

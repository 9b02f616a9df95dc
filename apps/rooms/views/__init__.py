"""Rooms and their members as pages."""

from apps.rooms.views.invitations import decline, room_invitations, withdraw
from apps.rooms.views.members import change_role, hand_over, join, leave, members, remove_member
from apps.rooms.views.people import person
from apps.rooms.views.rooms import archive, delete, home, new_room, rooms, settings

__all__ = [
    "archive",
    "change_role",
    "decline",
    "delete",
    "hand_over",
    "home",
    "join",
    "leave",
    "members",
    "new_room",
    "person",
    "remove_member",
    "room_invitations",
    "rooms",
    "settings",
    "withdraw",
]

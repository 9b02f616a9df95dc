"""Rooms as HTML, the same for every viewer."""

from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.functional import Promise

from apps.rooms.models import Membership, Room

# How many members a room page lists; the rest is one link away.
MAX_LISTED_MEMBERS = 50


class ListedMember(NamedTuple):
    """A member as the room page lists them; plain members have no label."""

    name: str
    role_label: str
    username: str = ""
    shows_username: bool = False


def listed_members(room: Room) -> list[ListedMember]:
    """The members that the room page lists: owners, moderators, then those who joined first."""
    # Not as models: fifty pairs of them cost a fifth of the page's time.
    columns = "user__display_name", "user__username", "role", "user__shows_username"
    rows = room.memberships.order_by("role", "id").values_list(*columns)[:MAX_LISTED_MEMBERS]
    labels = {role.value: str(role.label) for role in Membership.Role if role != Membership.Role.MEMBER}
    return [
        ListedMember(display_name or username, labels.get(role, ""), username, shows_username)
        for display_name, username, role, shows_username in rows
    ]


def unlisted_count(room: Room) -> int:
    """How many members the room page does not list."""
    return max(0, room.member_count - MAX_LISTED_MEMBERS)


def members_context(room: Room) -> dict[str, Any]:
    """What rooms/members_panel.html needs."""
    return {"room": room, "members": listed_members(room), "unlisted_count": unlisted_count(room)}


def details(room: Room) -> str:
    """A frame's part that shows the room's name, topic and access as they are now."""
    return render_to_string("rooms/details_frame.html", {"room": room})


def members(room: Room) -> str:
    """A frame's part that shows the room's members as they are now."""
    return render_to_string("rooms/members_frame.html", members_context(room))


def farewell(reason: str | Promise, room: Room | None = None) -> str:
    """A frame's part for a page that may no longer listen; it says why."""
    return render_to_string("rooms/farewell_frame.html", {"reason": reason, "room": room})

"""Render rooms as HTML, the same for every viewer."""

from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.formats import localize
from django.utils.functional import Promise
from django.utils.html import escape

from apps.live.listeners import farewell_alert
from apps.live.parts import Part, Parts, Swap
from apps.rooms.models import Membership, Room

# How many members a room page lists; a link leads to the rest.
MAX_LISTED_MEMBERS = 50


class ListedMember(NamedTuple):
    """A member as the room page lists them; plain members have no label."""

    name: str
    role_label: str
    username: str = ""
    shows_username: bool = False


def listed_members(room: Room) -> list[ListedMember]:
    """Return the members that the room page lists: owners, moderators, then the longest-standing."""
    # Plain rows: building fifty pairs of models takes a fifth of the page's render time.
    columns = "user__display_name", "user__username", "role", "user__shows_username"
    rows = room.memberships.order_by("role", "id").values_list(*columns)[:MAX_LISTED_MEMBERS]
    labels = {role.value: str(role.label) for role in Membership.Role if role != Membership.Role.MEMBER}
    return [
        ListedMember(display_name or username, labels.get(role, ""), username, shows_username)
        for display_name, username, role, shows_username in rows
    ]


def unlisted_count(room: Room) -> int:
    """Return how many members the room page does not list."""
    return max(0, room.member_count - MAX_LISTED_MEMBERS)


def members_context(room: Room) -> dict[str, Any]:
    """Return the context of rooms/members_panel.html."""
    return {"room": room, "members": listed_members(room), "unlisted_count": unlisted_count(room)}


def details(room: Room) -> Parts:
    """Return the parts that show the room's current name, topic and access."""
    facts = {"kind": "room", "slug": room.slug, "name": room.name}
    return (
        Part("title", Swap.TITLE, escape(f"{room.name} – Parley")),
        Part("room-details", Swap.INNER, render_to_string("rooms/details.html", {"room": room}), facts),
    )


def members(room: Room) -> Parts:
    """Return the parts that show the room's current members."""
    panel = render_to_string("rooms/members_panel.html", members_context(room))
    return (
        Part("members-panel", Swap.INNER, panel, {"kind": "members", "count": room.member_count}),
        Part("member-count", Swap.INNER, str(localize(room.member_count))),
    )


def farewell(reason: str | Promise, room: Room | None = None) -> Parts:
    """Return the parts that tell a page why it is disconnected."""
    notice = render_to_string("rooms/farewell.html", {"reason": reason, "room": room})
    return Part("composer-region", Swap.INNER, notice), farewell_alert(reason)

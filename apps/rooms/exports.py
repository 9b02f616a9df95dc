"""What rooms keep of a person, for the archive of their data."""

from collections.abc import Iterator
from typing import Any

from apps.accounts import exports
from apps.accounts.models import User


def rooms_of_person(user: User) -> Iterator[dict[str, Any]]:
    """The rooms somebody is in, and since when."""
    for membership in user.memberships.select_related("room").order_by("pk"):
        yield {
            "room": membership.room.name,
            "address": membership.room.get_absolute_url(),
            "role": membership.get_role_display(),
            "joined_at": membership.joined_at,
            "announces": membership.get_announces_display(),
            "messages_read": membership.read_count,
        }


exports.register("rooms.json", rooms_of_person)

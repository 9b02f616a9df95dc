"""What people said, for the archive of their data."""

from collections.abc import Iterator
from typing import Any

from apps.accounts import exports
from apps.accounts.models import User
from apps.chat.models import Message

MESSAGES_AT_ONCE = 500


def messages_of_person(user: User) -> Iterator[dict[str, Any]]:
    """All that somebody said, from the first word on. By pages of keys: no cursor is held while a browser reads."""
    last = 0
    while page := list(
        Message.objects.filter(author=user, pk__gt=last).select_related("room").order_by("pk")[:MESSAGES_AT_ONCE]
    ):
        for message in page:
            yield {
                "address": message.get_absolute_url(),
                "room": message.room.name,
                "body": message.body,
                "created_at": message.created_at,
                "edited_at": message.edited_at,
                "deleted_at": message.deleted_at,
            }
        last = page[-1].pk


exports.register("messages.json", messages_of_person)

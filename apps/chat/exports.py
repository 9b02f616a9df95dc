"""A user's messages, for their data export."""

from collections.abc import Iterator
from typing import Any

from apps.accounts import exports
from apps.accounts.models import User
from apps.chat.models import Message

MESSAGES_AT_ONCE = 500


def messages_of_person(user: User) -> Iterator[dict[str, Any]]:
    """Yield a user's messages, oldest first. Paged by key, so that no cursor stays open during the download."""
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

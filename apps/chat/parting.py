"""Anonymise or delete all of a user's messages, when their account closes or a site owner removes it."""

from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.accounts.models import User
from apps.chat.changes import AUTHOR_LEFT, DELETED, change_messages
from apps.chat.models import Message
from apps.core import locks
from apps.core.database import whole
from apps.rooms.models import Room, place_of
from apps.rooms.verbs import verb

# A user's messages that are deleted per transaction.
MESSAGES_AT_ONCE = 500


@verb(DELETED)
def delete_all_by(*, author: User, deleter: User) -> None:
    """
    Delete all of a user's messages, and detach the author.

    In batches, each its own transaction, so that no room is locked for long.
    """
    said = Message.objects.filter(author=author).order_by("room_id", "seq")
    # Fetch the keys once: querying for each batch would sort the rest each time.
    for room_id, rows in groupby(list(said.values_list("room_id", "pk")), key=itemgetter(0)):
        pks = [pk for _, pk in rows]
        for start in range(0, len(pks), MESSAGES_AT_ONCE):
            delete_some(pks[start : start + MESSAGES_AT_ONCE], room_id, deleter)


@whole(at=lambda pks, room_id, deleter: place_of(room_id))
def delete_some(pks: list[int], room_id: int, deleter: User) -> None:
    """Delete some of a user's messages in one room, and detach the author."""
    (found,) = locks.find(deleter)
    room = locks.find_one(Room, room_id)
    if room is None:
        return
    some = Message.objects.filter(pk__in=pks)
    some.filter(deleted_at=None).update(deleted_at=timezone.now(), deleted_by=found)
    change_messages(room, some, DELETED, {"author": None, "body": "", "html": ""}, actor=found)


@verb(DELETED, AUTHOR_LEFT)
@whole()
def part_with(*, author: User, delete_messages: bool) -> None:
    """Detach a departing author from all their messages, optionally deleting the text."""
    kind, changes = AUTHOR_LEFT, dict[str, Any](author=None)
    if delete_messages:
        kind = DELETED
        changes |= {"body": "", "html": "", "deleted_at": Coalesce("deleted_at", timezone.now())}
    said = Message.objects.filter(author=author)
    for room in locks.rows(Room.objects.filter(pk__in=said.values("room"))):
        change_messages(room, said.filter(room=room), kind, changes, actor=author)

"""What becomes of all that somebody said, when they go or an owner of the site has it deleted."""

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

# Of one person's messages, in one transaction.
MESSAGES_AT_ONCE = 500


@verb(DELETED)
def delete_all_by(*, author: User, deleter: User) -> None:
    """
    Delete all that somebody said, and take their name off it.

    As if one by one, but some hundred in a transaction, so that no room waits for more.
    """
    said = Message.objects.filter(author=author).order_by("room_id", "seq")
    # The keys once: to look for the next ones each time would be to sort the rest each time.
    for room_id, rows in groupby(list(said.values_list("room_id", "pk")), key=itemgetter(0)):
        pks = [pk for _, pk in rows]
        for start in range(0, len(pks), MESSAGES_AT_ONCE):
            delete_some(pks[start : start + MESSAGES_AT_ONCE], room_id, deleter)


@whole(at=lambda pks, room_id, deleter: place_of(room_id))
def delete_some(pks: list[int], room_id: int, deleter: User) -> None:
    """Delete some of what one person said in a room, which they leave without their name."""
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
    """All that somebody said loses its author, who goes, and its text too if they want it so."""
    kind, changes = AUTHOR_LEFT, dict[str, Any](author=None)
    if delete_messages:
        kind = DELETED
        changes |= {"body": "", "html": "", "deleted_at": Coalesce("deleted_at", timezone.now())}
    said = Message.objects.filter(author=author)
    for room in locks.rows(Room.objects.filter(pk__in=said.values("room"))):
        change_messages(room, said.filter(room=room), kind, changes, actor=author)

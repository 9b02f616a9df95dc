"""Write many messages at once, with the result of posting them one by one. For imports and `manage.py populate`."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from apps.accounts.models import User
from apps.chat.changes import IMPORTED, add_messages, locked_room
from apps.chat.models import Message
from apps.chat.rendering import RENDERER_VERSION
from apps.chat.services import newest_of, place_after
from apps.core import locks
from apps.core.database import whole
from apps.rooms.models import Membership, Room, place_of
from apps.rooms.verbs import verb

# Messages per transaction: the room is locked for some tenths of a second.
ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """A message to write. `html` is the body as rendering.py makes it."""

    author_id: int
    client_id: uuid.UUID
    created_at: datetime
    body: str
    html: str


@verb(IMPORTED)
def write_messages(*, room: Room, rows: Iterable[Row], actor: User | None = None) -> int:
    """
    Write messages in order, in transactions of bounded size; return how many were new.

    Like a repeated post, a row whose author has a message with its `client_id` is skipped, so an interrupted import can
    be run again. Rights are not checked: authors need not be members, and those whose account was deleted are left out.
    Raises Refusal if the room was deleted.
    """
    return sum(write_some(room_id=room.pk, rows=some, actor=actor) for some in batches(iter(rows)))


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Yield the rows in lists of bounded size."""
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield some


@whole(at=lambda *, room_id, **others: place_of(room_id))
def write_some(*, room_id: int, rows: list[Row], actor: User | None) -> int:
    """Write one batch in one transaction."""
    # Authors who aren't members could be deleted during the import, so they are locked, before the room.
    authors = {user.pk for user in locks.rows(User.objects.filter(pk__in={row.author_id for row in rows}))}
    room = locked_room(room_id)
    messages = new_messages(room, rows, authors)
    if messages:
        before = room.message_count
        add_messages(room, messages, IMPORTED, actor=actor)
        mark_as_read(room, messages, before)
    return len(messages)


def new_messages(room: Room, rows: list[Row], authors: set[int]) -> list[Message]:
    """Return messages for those rows that are new, each placed after the one before it."""
    ids = [row.client_id for row in rows]
    written = set(Message.objects.filter(author__in=authors, client_id__in=ids).values_list("author_id", "client_id"))
    messages, previous = [], newest_of(room)
    for row in rows:
        key = (row.author_id, row.client_id)
        if key in written or row.author_id not in authors:
            continue
        written.add(key)
        message = Message(room=room, author_id=row.author_id, client_id=row.client_id, body=row.body, html=row.html)
        message.renderer_version, message.created_at = RENDERER_VERSION, row.created_at
        place_after(previous, message)
        messages.append(message)
        previous = message
    return messages


def mark_as_read(room: Room, messages: list[Message], before: int) -> None:
    """Mark everything up to its author's last message as read, as posting it does; `before` were there already."""
    last = {message.author_id: (message.seq, count) for count, message in enumerate(messages, before + 1)}
    memberships = list(room.memberships.filter(user__in=last))
    for membership in memberships:
        membership.last_read_seq, membership.read_count = last[membership.user_id]
    # None is new, as the room is locked: this is an update that takes a tenth of bulk_update's time.
    marks = ["last_read_seq", "read_count"]
    Membership.objects.bulk_create(memberships, update_conflicts=True, update_fields=marks, unique_fields=["id"])

"""
How messages change: in a transaction, with their room locked, under its next number; open pages are told on commit.

Only this module and apps/rooms/changes.py write those numbers and tell pages of them (tests/test_architecture.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import F, QuerySet
from django.dispatch import Signal
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.chat import fragments
from apps.chat.models import Message
from apps.core import locks
from apps.core.errors import Refusal
from apps.rooms.changes import being_changed, columns_changed, columns_of, take_numbers, tell
from apps.rooms.models import Room
from apps.rooms.verbs import Kind

# Sent once for each change, in its transaction, with `kind`, `room`, `messages` (those that changed, as they are now:
# mostly one; a list or a query that wasn't asked yet) and `actor` (who did it, None where nobody did).
messages_changed = Signal()

POSTED, EDITED, DELETED = (Kind(name, announced=True) for name in ("posted", "edited", "deleted"))
# The name of who said it was taken off.
AUTHOR_LEFT = Kind("author_left", announced=True)


@dataclass
class MessageChange:
    """A message that is being changed, its room locked. Which of its columns differ in the end is seen by itself."""

    message: Message
    kind: Kind
    actor: User | None
    # To be set where something changed that the message shows and that isn't in its own row.
    happened: bool = False


@contextmanager
def change_message(
    message: Message, kind: Kind, *, actor: User | None = None, locks_actor: bool = False
) -> Iterator[MessageChange]:
    """
    The only way a stored message changes. To be used in a function that is a `whole` transaction.

    Where a new row will refer to an `actor` who may not be a member, `locks_actor` (core/locks.py); they are None in
    the change where their account has gone. If the block ends without an error and something happened, the change takes
    one number, is stored, signalled and told. Raises Refusal where the message cannot change any more.
    """
    if locks_actor:
        (actor,) = locks.find(actor)
    room, locked = locked_message(message)
    change, before = MessageChange(locked, kind, actor), columns_of(locked)
    with being_changed(room):
        yield change
    columns = columns_changed(locked, before)
    if not (columns or change.happened):
        return
    locked.changed_seq = take_numbers(room)
    locked.save(update_fields=[*columns, "changed_seq"])
    room.save(update_fields=["last_seq"])
    messages_changed.send(Message, kind=kind, room=room, messages=[locked], actor=change.actor)
    tell(room, locked.changed_seq, partial(fragments.changed_message, locked))


def add_messages(room: Room, messages: list[Message], kind: Kind = POSTED, *, actor: User | None) -> None:
    """
    Store new messages of a locked room, in their order.

    Of the last one pages are told; that they missed the others they see by its number.
    """
    first = take_numbers(room, len(messages))
    for seq, message in enumerate(messages, first):
        message.seq = message.changed_seq = seq
    Message.objects.bulk_create(messages)
    room.message_count += len(messages)
    room.save(update_fields=["last_seq", "message_count"])
    messages_changed.send(Message, kind=kind, room=room, messages=messages, actor=actor)
    tell(room, room.last_seq, partial(fragments.new_messages, messages[-1:]))


def change_messages(
    room: Room, some: QuerySet[Message], kind: Kind, values: dict[str, Any], *, actor: User | None
) -> None:
    """
    Change messages of a locked room in one statement, however many.

    Each one's new number is its place, moved behind the room's last number. Of the last one pages are told; that they
    missed the others they see by its number.
    """
    first, last = some.order_by("seq").first(), some.order_by("seq").last()
    if first is None or last is None:
        return
    next_seq = take_numbers(room, last.seq - first.seq + 1)
    some.update(**values, changed_seq=F("seq") + next_seq - first.seq)
    room.save(update_fields=["last_seq"])
    last.refresh_from_db()
    last.room = room
    changed = room.messages.filter(changed_seq__gte=next_seq, changed_seq__lte=room.last_seq).order_by("seq")
    messages_changed.send(Message, kind=kind, room=room, messages=changed, actor=actor)
    tell(room, room.last_seq, partial(fragments.changed_message, last))


def locked_room(pk: int) -> Room:
    """The room's row as it is now, locked until the transaction ends. Raises Refusal where it is gone."""
    try:
        return locks.take_one(Room, pk)
    except locks.Gone as gone:
        raise Refusal(str(gone)) from None


def locked_message(message: Message) -> tuple[Room, Message]:
    """The message and its room as they are now, locked. Raises Refusal where it cannot change any more."""
    room = locked_room(message.room_id)
    found = Message.objects.select_related("author").filter(pk=message.pk).first()
    if found is None or found.is_deleted:
        raise Refusal(str(locks.Gone(Message)))
    found.room = room
    if room.is_archived:
        raise Refusal(_("This room is archived, so its messages cannot change any more."))
    return room, found

"""
Change messages: lock the room, take its next number, save, send a signal, and broadcast on commit.

Only this module and apps/rooms/changes.py write these numbers and broadcast changes (tests/test_architecture.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
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

# Sent once per change, in its transaction, with `kind`, `room`, `messages` (a list or queryset of those that changed,
# mostly one) and `actor` (the user who acted, if any). One signal for one and for many, so that no receiver misses the
# many that change when an account is closed or messages are imported.
messages_changed = Signal()

POSTED, EDITED, DELETED = (Kind(name, announced=True) for name in ("posted", "edited", "deleted"))
IMPORTED = Kind("imported", announced=True)
# The author closed their account.
AUTHOR_LEFT = Kind("author_left", announced=True)


@dataclass
class MessageChange:
    """A message during a change, its room locked. Changed columns are detected when the block ends."""

    message: Message
    kind: Kind
    actor: User | None
    # Set this if what changed is not in the message's own row.
    happened: bool = False


@contextmanager
def change_message(
    message: Message, kind: Kind, *, actor: User | None = None, locks_actor: bool = False
) -> Iterator[MessageChange]:
    """
    Change a stored message; nothing else may. The caller is a `whole` transaction.

    `locks_actor` is for an actor who may not be a member and whom a row will refer to: their account is locked before
    the room (core/locks.py), and `change.actor` is None if it was deleted. If anything changed in the block, the change
    takes one number, is saved, signalled and broadcast. Raises Refusal if the message can no longer change.
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
    # If the block has looked at them, they may have changed since.
    locked.__dict__.pop("extras", None)
    locked.version_seq = None if kind.announced else locked.version
    locked.changed_seq = take_numbers(room)
    locked.save(update_fields=[*columns, "changed_seq", "version_seq"])
    room.save(update_fields=["last_seq"])
    messages_changed.send(Message, kind=kind, room=room, messages=[locked], actor=change.actor)
    tell(room, locked.changed_seq, partial(fragments.changed_message, locked))


def add_messages(room: Room, messages: list[Message], kind: Kind = POSTED, *, actor: User | None) -> None:
    """
    Save new messages of a locked room, in order.

    Pages are told only of the last; its number reveals that they missed the others.
    """
    first = take_numbers(room, len(messages))
    for seq, message in enumerate(messages, first):
        message.seq = message.changed_seq = seq
        # Nothing else refers to it yet: only its verb can have given it any.
        message.__dict__.setdefault("extras", {})
    Message.objects.bulk_create(messages)
    room.message_count += len(messages)
    room.save(update_fields=["last_seq", "message_count"])
    # Read before the signal, since a receiver may change the room in turn.
    last_seq = room.last_seq
    messages_changed.send(Message, kind=kind, room=room, messages=messages, actor=actor)
    tell(room, last_seq, partial(fragments.new_messages, messages[-1:]))


def change_messages(
    room: Room, some: QuerySet[Message], kind: Kind, values: dict[str, Any], *, actor: User | None
) -> None:
    """
    Change messages of a locked room in one statement.

    Their new numbers keep the gaps between their places, after the room's last number. Pages are told only of the
    last; its number reveals that they missed the others.
    """
    first, last = some.order_by("seq").first(), some.order_by("seq").last()
    if first is None or last is None:
        return
    next_seq = take_numbers(room, last.seq - first.seq + 1)
    version = None if kind.announced else Coalesce("version_seq", "changed_seq")
    some.update(**values, version_seq=version, changed_seq=F("seq") + next_seq - first.seq)
    room.save(update_fields=["last_seq"])
    last.refresh_from_db()
    last.room = room
    changed = room.messages.filter(changed_seq__gte=next_seq, changed_seq__lte=room.last_seq).order_by("seq")
    last_seq = room.last_seq
    messages_changed.send(Message, kind=kind, room=room, messages=changed, actor=actor)
    tell(room, last_seq, partial(fragments.changed_message, last))


def locked_room(pk: int) -> Room:
    """Return the room, re-read and locked until the transaction ends. Raises Refusal if it was deleted."""
    try:
        return locks.take_one(Room, pk)
    except locks.Gone as gone:
        raise Refusal(str(gone)) from None


def locked_message(message: Message) -> tuple[Room, Message]:
    """Return the message and its room, re-read and locked. Raises Refusal if the message can no longer change."""
    room = locked_room(message.room_id)
    found = Message.objects.select_related("author").filter(pk=message.pk).first()
    if found is None or found.is_deleted:
        raise Refusal(str(locks.Gone(Message)))
    found.room = room
    if room.is_archived:
        raise Refusal(_("This room is archived, so its messages cannot change any more."))
    return room, found

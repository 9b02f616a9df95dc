"""
How a room changes: in a transaction, with its row locked, under its next number; open pages are told on commit.

Only this module and apps/chat/changes.py write those numbers and tell pages of them (tests/test_architecture.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.dispatch import Signal
from django.utils.functional import Promise

from apps.accounts.models import User
from apps.core import locks
from apps.live import broadcast
from apps.rooms import fragments
from apps.rooms.models import Room
from apps.rooms.verbs import Kind

# Sent once for each change to a room itself, in its transaction, with `kind`, `room`, `user` (the member concerned;
# None where it is nobody, or several) and `actor` (who did it; None where nobody did). For changes to messages there
# is `messages_changed` in apps/chat/changes.py.
room_changed = Signal()


@dataclass(frozen=True)
class Panel:
    """A part of the room's page that is shown anew as a whole."""

    # The column with the number of its last change.
    seq_field: str
    render: Callable[[Room], str]


DETAILS = Panel("details_seq", fragments.details)
MEMBERS = Panel("members_seq", fragments.members)


@dataclass(frozen=True)
class RoomKind(Kind):
    """What a change to a room itself is, and which part of its page shows it."""

    # None where no page is open before, or none stays open after.
    panel: Panel | None = None


CREATED, ROOM_DELETED = RoomKind("created"), RoomKind("room_deleted")
DESCRIBED = RoomKind("described", panel=DETAILS)
ARCHIVED, REOPENED = RoomKind("archived", panel=DETAILS), RoomKind("reopened", panel=DETAILS)
JOINED, LEFT, REMOVED = (RoomKind(name, panel=MEMBERS) for name in ("joined", "left", "removed"))
ROLE_GIVEN, HANDED_OVER = RoomKind("role_given", panel=MEMBERS), RoomKind("handed_over", panel=MEMBERS)

# The rooms that this thread is changing just now.
_under_way: ContextVar[frozenset[int]] = ContextVar("under_way", default=frozenset())


@dataclass
class RoomChange:
    """A room that is being changed, locked. Which of its columns differ in the end is seen by itself."""

    room: Room
    kind: RoomKind
    # To be set where something changed that the room shows and that isn't in its own row.
    happened: bool = False

    def end_pages_of(self, user_id: int, reason: str | Promise) -> None:
        """On commit, end the pages that somebody has open; they are told why before they are told of the change."""
        end_pages(self.room, user_id, farewell_saying(reason, self.room))

    def end_pages_without_right(self, reason: str | Promise) -> None:
        """On commit, end the pages of those who may no longer see the room."""
        topic, farewell = self.room.live_topic, farewell_saying(reason, self.room)
        transaction.on_commit(lambda: broadcast.check(topic, render=farewell), robust=True)


@contextmanager
def change_room(
    room: Room,
    kind: RoomKind,
    *,
    actor: User | None = None,
    user: User | None = None,
    locking: tuple[User, ...] = (),
) -> Iterator[RoomChange]:
    """
    The only way a stored room changes. To be used in a function that is a `whole` transaction.

    Accounts that new rows will refer to are locked first (`locking`; core/locks.py). If the block ends without an error
    and something happened, the change takes one number, is stored, signalled and told. Raises Gone for a room or an
    account that was deleted.
    """
    wanted: tuple[Any, ...] = (*locking, room)
    locked: Room = locks.take(*wanted)[-1]
    with change_locked_room(locked, kind, actor=actor, user=user) as change:
        yield change


@contextmanager
def change_locked_room(
    room: Room, kind: RoomKind, *, actor: User | None = None, user: User | None = None
) -> Iterator[RoomChange]:
    """The same for a room that is locked already, with others."""
    if kind.panel is None:
        raise ValueError(f"No page shows what is {kind.name}.")
    change, before = RoomChange(room, kind), columns_of(room)
    with being_changed(room):
        yield change
    columns = columns_changed(room, before)
    if not (columns or change.happened):
        return
    seq = take_numbers(room)
    setattr(room, kind.panel.seq_field, seq)
    room.save(update_fields=[*columns, "last_seq", kind.panel.seq_field])
    room_changed.send(Room, kind=kind, room=room, user=user, actor=actor)
    tell(room, seq, partial(kind.panel.render, room))


def create(room: Room, *, actor: User) -> None:
    """Signal a room that was stored just now."""
    room_changed.send(Room, kind=CREATED, room=room, user=None, actor=actor)


def delete(room: Room, reason: str | Promise, *, actor: User | None) -> None:
    """Delete a room that is locked `to_delete`, and end all its pages."""
    room_changed.send(Room, kind=ROOM_DELETED, room=room, user=None, actor=actor)
    end_pages(room, None, farewell_saying(reason))
    room.delete()


def take_numbers(room: Room, count: int = 1) -> int:
    """Give the next numbers of a locked room, and return the first. Whoever takes them stores the room's `last_seq`."""
    refuse_twice(room)
    first = room.last_seq + 1
    room.last_seq += count
    return first


def tell(room: Room, seq: int, render: Callable[[], str]) -> None:
    """On commit, tell open pages what has number `seq`."""
    topic = room.live_topic
    transaction.on_commit(lambda: broadcast.change(topic, seq, render), robust=True)


def end_pages(room: Room, user_id: int | None, farewell: Callable[[], str]) -> None:
    """On commit, end the pages that somebody (None: anybody) has open of the room."""
    topic = room.live_topic
    transaction.on_commit(lambda: broadcast.revoke(topic, user_id=user_id, render=farewell), robust=True)


def farewell_saying(reason: str | Promise, room: Room | None = None) -> Callable[[], str]:
    """Renders the last words to a page that ends; with a room, it can be looked at again."""
    return partial(fragments.farewell, reason, room)


@contextmanager
def being_changed(room: Room) -> Iterator[None]:
    """Let nothing else in this transaction change the room meanwhile: both would take the same number."""
    refuse_twice(room)
    token = _under_way.set(_under_way.get() | {room.pk})
    try:
        yield
    finally:
        _under_way.reset(token)


def refuse_twice(room: Room) -> None:
    """Raise RuntimeError for a change within another change to the same room."""
    if room.pk in _under_way.get():
        raise RuntimeError("A room was to be changed while another change to it was under way.")


def columns_of(row: Model) -> dict[str, Any]:
    """What a row holds, to compare it with later."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def columns_changed(row: Model, before: dict[str, Any]) -> list[str]:
    """The columns in which a row differs from what it held before."""
    return [name for name, value in before.items() if getattr(row, name) != value]

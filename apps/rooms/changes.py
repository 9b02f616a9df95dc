"""
Change rooms: lock the row, take the room's next number, save, send a signal, and broadcast on commit.

Only this module and apps/chat/changes.py write these numbers and broadcast changes (tests/test_architecture.py).
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
from apps.live.parts import Parts
from apps.rooms import fragments
from apps.rooms.models import Room
from apps.rooms.verbs import Kind

# Sent once per change to a room itself, in its transaction, with `kind`, `room`, `user` (the member concerned; None if
# there is none or several) and `actor` (the user who acted, if any). For messages see `messages_changed` in
# apps/chat/changes.py.
room_changed = Signal()


@dataclass(frozen=True)
class Panel:
    """A part of the room page that is replaced as a whole."""

    # The column that holds the number of its last change.
    seq_field: str
    render: Callable[[Room], Parts]


DETAILS = Panel("details_seq", fragments.details)
MEMBERS = Panel("members_seq", fragments.members)


@dataclass(frozen=True)
class RoomKind(Kind):
    """A kind of change to a room itself, and the part of its page that shows it."""

    # None if no page is open before or after the change.
    panel: Panel | None = None


CREATED, ROOM_DELETED = RoomKind("created"), RoomKind("room_deleted")
DESCRIBED = RoomKind("described", panel=DETAILS)
ARCHIVED, REOPENED = RoomKind("archived", panel=DETAILS), RoomKind("reopened", panel=DETAILS)
JOINED, LEFT, REMOVED = (RoomKind(name, panel=MEMBERS) for name in ("joined", "left", "removed"))
ROLE_GIVEN, HANDED_OVER = RoomKind("role_given", panel=MEMBERS), RoomKind("handed_over", panel=MEMBERS)

# The rooms being changed in this context.
_under_way: ContextVar[frozenset[int]] = ContextVar("under_way", default=frozenset())


@dataclass
class RoomChange:
    """A locked room during a change. Changed columns are detected when the block ends."""

    room: Room
    kind: RoomKind
    # Set this if what changed is not in the room's own row.
    happened: bool = False

    def end_pages_of(self, user_id: int, reason: str | Promise) -> None:
        """On commit, end a user's open pages, with the reason as the last thing that they get."""
        end_pages(self.room, user_id, farewell_saying(reason, self.room))

    def end_pages_without_right(self, reason: str | Promise) -> None:
        """On commit, end the open pages of everyone who may no longer see the room."""
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
    Change a stored room; nothing else may. The caller is a `whole` transaction.

    `locking` are the accounts that new rows will refer to; they are locked before the room (core/locks.py). If anything
    changed in the block, the change takes one number, is saved, signalled and broadcast. Raises locks.Gone if the room
    or an account was deleted.
    """
    wanted: tuple[Any, ...] = (*locking, room)
    locked: Room = locks.take(*wanted)[-1]
    with change_locked_room(locked, kind, actor=actor, user=user) as change:
        yield change


@contextmanager
def change_locked_room(
    room: Room, kind: RoomKind, *, actor: User | None = None, user: User | None = None
) -> Iterator[RoomChange]:
    """The same for a room that was locked before, along with others."""
    if kind.panel is None:
        raise ValueError(f"No part of a page shows {kind.name}.")
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
    """Send the signal for a room that was just created."""
    room_changed.send(Room, kind=CREATED, room=room, user=None, actor=actor)


def delete(room: Room, reason: str | Promise, *, actor: User | None) -> None:
    """Delete a room, locked `to_delete`, and end all its open pages."""
    room_changed.send(Room, kind=ROOM_DELETED, room=room, user=None, actor=actor)
    end_pages(room, None, farewell_saying(reason))
    room.delete()


def take_numbers(room: Room, count: int = 1) -> int:
    """Take the next numbers of a locked room, and return the first. The caller saves the room's `last_seq`."""
    refuse_twice(room)
    first = room.last_seq + 1
    room.last_seq += count
    return first


def tell(room: Room, seq: int, render: Callable[[], Parts]) -> None:
    """On commit, broadcast change `seq` to open pages."""
    topic = room.live_topic
    transaction.on_commit(lambda: broadcast.change(topic, seq, render), robust=True)


def tell_places_changed(user_id: int) -> None:
    """On commit, have open pages show how much a user has not read, after they read on, joined or left."""
    transaction.on_commit(partial(broadcast.places_changed, user_id), robust=True)


def end_pages(room: Room, user_id: int | None, farewell: Callable[[], Parts]) -> None:
    """On commit, end the open pages of a user, or with None of everyone."""
    topic = room.live_topic
    transaction.on_commit(lambda: broadcast.revoke(topic, user_id=user_id, render=farewell), robust=True)


def farewell_saying(reason: str | Promise, room: Room | None = None) -> Callable[[], Parts]:
    """Return a function that renders a page's last part, with a link back if a room is given."""
    return partial(fragments.farewell, reason, room)


@contextmanager
def being_changed(room: Room) -> Iterator[None]:
    """Refuse other changes to the room during the block: both would take the same number."""
    refuse_twice(room)
    token = _under_way.set(_under_way.get() | {room.pk})
    try:
        yield
    finally:
        _under_way.reset(token)


def refuse_twice(room: Room) -> None:
    """Raise RuntimeError if the room is already being changed."""
    if room.pk in _under_way.get():
        raise RuntimeError("A change to a room was started within another change to it.")


def columns_of(row: Model) -> dict[str, Any]:
    """Return the values of a row, to compare with later."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def columns_changed(row: Model, before: dict[str, Any]) -> list[str]:
    """Return the columns whose values differ from before."""
    return [name for name, value in before.items() if getattr(row, name) != value]

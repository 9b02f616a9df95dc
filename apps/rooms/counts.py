"""
Live counts of unread messages in the list of rooms, on the open pages of this process.

Nothing is written or sent for each member of a room: a process keeps the places of its own connected people, hears
once a second which rooms changed (apps/live/news.py), and works out the rest from one query of those rooms.
"""

import asyncio
import logging
import time
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import translation

from apps.core.database import NO_DATABASE
from apps.live.frames import Burst, unnumbered
from apps.live.hub import Hub
from apps.live.listeners import Listener
from apps.live.parts import Part, Swap
from apps.live.people import user_in
from apps.live.threads import in_thread
from apps.rooms.models import Membership, Room, room_in
from apps.rooms.navigation import MAX_NAVIGATION_ROOMS, entry

logger = logging.getLogger(__name__)

# How long counts rest after an update, as a multiple of the processor time it took, and at least: they take no more
# than a twentieth of the process.
REST_FACTOR = 20
MIN_REST_SECONDS = 1.0
# People whose places are read from the database in one update.
MAX_PEOPLE = 200
# The newest deleted messages of each room, which are not unread; older ones still count. Not of all rooms together:
# those of one would change the counts of the others.
MAX_DELETIONS = 2_000


class Place(NamedTuple):
    """Where a member has read up to: the number of that message, and how many messages there were."""

    seq: int
    read: int


@dataclass(frozen=True, slots=True)
class RoomNow:
    """What the list shows of a room, and what its counts are made from."""

    pk: int
    slug: str
    name: str
    message_count: int
    # Where the name stands among those of the rooms read with it; only the database knows its own order.
    rank: int
    # The numbers of deleted messages, in order.
    deleted: list[int] = field(default_factory=list)

    def unread_after(self, place: Place) -> int:
        """Return how many messages someone at this place has not read."""
        deleted = len(self.deleted) - bisect_right(self.deleted, place.seq)
        return self.message_count - place.read - deleted


Places = dict[int, dict[int, Place]]


class Counts:
    """The counts on the pages of a hub. Call everything on its event loop."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        # By user and room, of the people who have pages here.
        self.places: Places = {}
        # Of their rooms, as their pages show them.
        self.names: dict[int, tuple[str, str]] = {}
        self.changed_rooms: set[int] = set()
        # Whose places are to be read, first come first served; their known ones may be out of date.
        self.changed_people: dict[int, None] = {}
        # Those whose list is shown as a whole, and the pages that have had it.
        self.to_list: set[int] = set()
        self.listed: set[Listener] = set()
        self.updating: asyncio.Task[None] | None = None

    def hear(self, topics: list[str], people: list[int]) -> None:
        """Update the counts soon, after changes in these topics and of these people's places."""
        self.changed_rooms.update(pk for topic in topics if (pk := room_in(topic)) is not None)
        self.changed_people |= dict.fromkeys(people)
        if self.updating is None or self.updating.done():
            self.updating = asyncio.create_task(self.update_while_changed())

    async def update_while_changed(self) -> None:
        """Update until nothing is left to do, at a pace that leaves the process to others."""
        while self.changed_rooms or self.changed_people or self.to_list:
            spent = 0.0
            try:
                spent = await self.update()
            except NO_DATABASE as error:
                logger.warning("Unread counts are shown later: the database does not answer: %s", error)
            except Exception:
                logger.exception("Unread counts could not be updated")
            await asyncio.sleep(max(MIN_REST_SECONDS, REST_FACTOR * spent))

    async def update(self) -> float:
        """Show what changed since the last update; return the processor seconds it took."""
        began = time.thread_time()
        pages = self.pages()
        rooms = {pk for pk in self.changed_rooms if any(pk in places for places in self.places.values())}
        people = list(self.changed_people)[:MAX_PEOPLE]
        # Removed before reading: who changes again meanwhile is read again.
        self.changed_rooms.clear()
        for user_id in people:
            del self.changed_people[user_id]
        spent = time.thread_time() - began
        try:
            found = await in_thread(read, rooms, people, self.to_list.intersection(people), self.places)
        except BaseException:
            self.changed_rooms |= rooms
            self.changed_people = dict.fromkeys(people) | self.changed_people
            raise
        spent, began = spent + found.seconds, time.thread_time()
        self.to_list.difference_update(people)
        self.places.update(found.places)
        self.note_names(rooms, found)
        for user_id, listeners in pages.items():
            for listener in listeners:
                self.show(listener, user_id, rooms, found)
            spent, began = spent + time.thread_time() - began, time.thread_time()
            await asyncio.sleep(0)
        return spent

    def pages(self) -> dict[int, list[Listener]]:
        """Return the open pages by user; forget users without, and list the rooms on new ones."""
        found: dict[int, list[Listener]] = {}
        for topic, feeds in self.hub.topics.items():
            if (user_id := user_in(topic)) is not None:
                found[user_id] = [listener for feed in feeds.values() for listener in feed.subscriptions]
        self.places = {user_id: places for user_id, places in self.places.items() if user_id in found}
        self.to_list &= found.keys()
        self.to_list |= {user_id for user_id, listeners in found.items() if not self.listed.issuperset(listeners)}
        waiting = self.changed_people | dict.fromkeys(self.to_list)
        self.changed_people = {user_id: None for user_id in waiting if user_id in found}
        self.listed = {listener for listeners in found.values() for listener in listeners}
        return found

    def note_names(self, rooms: set[int], found: "Found") -> None:
        """Keep the rooms' names, and list the rooms again for members of one that was renamed, is gone or is back."""
        changed = set()
        for pk in rooms | found.rooms.keys():
            now = found.rooms.get(pk)
            known = self.names.pop(pk, None)
            if now:
                self.names[pk] = now.slug, now.name
            if known != self.names.get(pk):
                changed.add(pk)
        if changed:
            members = {user_id for user_id, places in self.places.items() if not places.keys().isdisjoint(changed)}
            self.to_list |= members - found.to_list

    def show(self, listener: Listener, user_id: int, rooms: set[int], found: "Found") -> None:
        """Show a page's viewer their rooms, or those with a new count, except the one on the page."""
        if user_id in self.to_list:
            return  # the whole list follows
        places = self.places.get(user_id, {})
        current = next((pk for feed in listener.feeds if (pk := room_in(feed)) is not None), None)
        if user_id in found.to_list:
            listed = sorted((found.rooms[pk] for pk in places if pk in found.rooms), key=lambda room: room.rank)
            entries = [
                entry_in(listener.language, room, places[room.pk], is_current=room.pk == current)
                for room in listed[:MAX_NAVIGATION_ROOMS]
            ]
            parts: tuple[Part, ...] = (Part("rooms", Swap.INNER_MORPH, "".join(entries), {"kind": "rooms"}),)
        else:
            changed = (rooms & places.keys() | found.moved.get(user_id, set())) & found.rooms.keys() - {current}
            if changed and user_id in self.changed_people:
                # They may have been removed from the room since.
                self.to_list.add(user_id)
                return
            parts = tuple(part_of(listener.language, found.rooms[pk], places[pk]) for pk in changed)
        if parts and not listener.line.write(Burst([unnumbered(parts)])):
            self.hub.drop(listener)


@dataclass
class Found:
    """What one update found in the database."""

    # Of the people who were asked for.
    places: Places
    # Those whose list is shown as a whole, and where the others have read on.
    to_list: set[int]
    moved: dict[int, set[int]]
    # By primary key; one that is gone or archived is missing.
    rooms: dict[int, RoomNow]
    # The processor time that it took.
    seconds: float


def read(changed: set[int], people: list[int], to_list: set[int], before: Places) -> Found:
    """Read the places of people, and the rooms that changed, that they read in, or that are to be listed."""
    began = time.thread_time()
    places = places_of(people)
    earlier = {user_id: before.get(user_id, {}) for user_id in places}
    to_list = to_list | {user_id for user_id, now in places.items() if earlier[user_id].keys() != now.keys()}
    moved = {
        user_id: {pk for pk, place in now.items() if earlier[user_id].get(pk) != place}
        for user_id, now in places.items()
    }
    wanted = changed.union(*moved.values(), *(places[user_id] for user_id in to_list))
    rooms = rooms_now(wanted)
    return Found(places, to_list, moved, rooms, time.thread_time() - began)


def places_of(people: Iterable[int]) -> Places:
    """Return the places of people in their rooms, archived ones too, which may be reopened."""
    found: Places = {user_id: {} for user_id in people}
    members = Membership.objects.filter(user__in=list(found))
    for user_id, room_id, seq, read_count in members.values_list("user_id", "room_id", "last_read_seq", "read_count"):
        found[user_id][room_id] = Place(seq, read_count)
    return found


def rooms_now(pks: set[int]) -> dict[int, RoomNow]:
    """Return those of the rooms that exist and are not archived."""
    if not pks:
        return {}
    rows = Room.objects.filter(pk__in=pks, archived_at=None).order_by("name_key")
    columns = rows.values_list("pk", "slug", "name", "message_count")
    rooms = {row[0]: RoomNow(*row, rank) for rank, row in enumerate(columns)}
    for room_id, seq in deleted_in(rooms.keys()):
        rooms[room_id].deleted.append(seq)
    return rooms


def deleted_in(pks: Iterable[int]) -> QuerySet[Any, tuple[int, int]]:
    """Return the newest deleted messages of each room, in order, each as the room and the message's number."""
    messages = Room._meta.get_field("messages").related_model._base_manager
    deleted = messages.filter(room__in=pks, deleted_at__isnull=False)
    newest_first = Window(RowNumber(), partition_by="room", order_by="-seq")
    newest = deleted.alias(place=newest_first).filter(place__lte=MAX_DELETIONS)
    numbers: QuerySet[Any, tuple[int, int]] = newest.order_by("seq").values_list("room_id", "seq")
    return numbers


def part_of(language: str, room: RoomNow, place: Place) -> Part:
    """Return the part that shows a room with what someone has not read."""
    facts = {"kind": "unread", "room": room.pk, "count": room.unread_after(place)}
    html = entry_in(language, room, place, is_current=False)
    return Part(f"room-{room.slug}", Swap.OUTER_MORPH, html, facts)


def entry_in(language: str, room: RoomNow, place: Place, *, is_current: bool) -> str:
    """Return a room's entry in the list of someone at this place."""
    return _entry(language, room.slug, room.name, 0 if is_current else room.unread_after(place), is_current)


@lru_cache(maxsize=4096)
def _entry(language: str, slug: str, name: str, unread: int, is_current: bool) -> str:
    with translation.override(language):
        return entry(slug, name, unread=unread, is_current=is_current)

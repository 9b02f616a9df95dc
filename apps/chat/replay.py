"""The hub's source for rooms: missed changes, last numbers, and who may keep listening."""

from itertools import chain

from django.utils import translation

from apps.chat import fragments, history
from apps.chat.models import Message
from apps.core import epoch
from apps.live.parts import Parts
from apps.live.sources import FROM_SCRATCH, Batch
from apps.live.threads import in_thread
from apps.rooms import fragments as room_fragments
from apps.rooms.access import who_may_see
from apps.rooms.models import Room

# A page that missed more than this gets the newest messages instead, as if freshly loaded.
MAX_REPLAYED_MESSAGES = 500
MAX_REPLAYED_CHARACTERS = 500_000
# The approximate characters per frame, and per message for the markup around its text.
PIECE_CHARACTERS = 100_000
MARKUP_CHARACTERS = 900


class RoomSource:
    """The source of feeds named `room.<pk>.<language>`."""

    async def replay(self, feed: str, since: int) -> Batch:
        """Return everything that changed in the room after number `since`."""
        return await in_thread(changes_in_language, feed, since)

    async def heads(self, feeds: list[str]) -> dict[str, int]:
        """Return the last number of each feed whose room still exists."""
        return await in_thread(last_numbers, feeds)

    async def allowed(self, listening: dict[str, set[int | None]]) -> dict[str, set[int | None]]:
        """Return the listeners of each room who may still see it."""
        by_room: dict[int, set[int | None]] = {}
        for feed, user_ids in listening.items():
            by_room.setdefault(room_of(feed), set()).update(user_ids)
        allowed = await in_thread(who_may_see, by_room)
        return {feed: allowed[room_of(feed)] for feed in listening}


def last_numbers(feeds: list[str]) -> dict[str, int]:
    """Return the last number of each feed whose room still exists."""
    room_pks = {room_of(feed) for feed in feeds}
    numbers = dict(Room.objects.filter(pk__in=room_pks).values_list("pk", "last_seq"))
    return {feed: numbers[room_of(feed)] for feed in feeds if room_of(feed) in numbers}


def room_of(feed: str) -> int:
    """Return the room's primary key from a feed's name."""
    return int(feed.split(".")[1])


def changes_in_language(feed: str, since: int) -> Batch:
    """Return everything that changed in a feed's room after number `since`, in the feed's language."""
    with translation.override(feed.split(".")[2]):
        return changes_since(room_of(feed), since)


def changes_since(room_pk: int, since: int) -> Batch:
    """
    Return everything that changed in a room after number `since`, in frame-sized pieces; its state for FROM_SCRATCH.

    This is state, not a log: a message that was posted and then edited is included once, as it is now, so applying
    it twice does no harm.
    """
    # Read the room first: later changes get higher numbers and will be sent again.
    room = Room.objects.filter(pk=room_pk).first()
    if room is None or room.last_seq <= since:
        return Batch(since, since)
    if since == FROM_SCRATCH:
        around = room_fragments.details(room) + room_fragments.members(room)
        return Batch(0, room.last_seq, (around, fresh(room)), epoch.State.epoch)
    parts: list[Parts] = []
    if room.details_seq > since:
        parts.append(room_fragments.details(room))
    if room.members_seq > since:
        parts.append(room_fragments.members(room))
    changed = list(
        Message.objects.filter(room=room, changed_seq__gt=since, seq__lte=room.last_seq)
        .select_related("author")
        .order_by("changed_seq")[: MAX_REPLAYED_MESSAGES + 1]
    )
    if len(changed) > MAX_REPLAYED_MESSAGES or sum(len(message.html) for message in changed) > MAX_REPLAYED_CHARACTERS:
        return Batch(since, room.last_seq, (tuple(chain.from_iterable(parts)), fresh(room)))
    history.in_room(room, changed)
    parts += [fragments.changed_message(message) for message in changed if message.seq <= since]
    new = sorted((message for message in changed if message.seq > since), key=lambda message: message.seq)
    parts += [fragments.new_messages(some) for some in runs(new, PIECE_CHARACTERS)]
    return Batch(since, room.last_seq, joined(parts, PIECE_CHARACTERS))


def fresh(room: Room) -> Parts:
    """Replace the page's messages with the newest, as many as can be sent to a slow client at once."""
    window = history.newest(room)
    *_, kept = [[], *runs(window.messages, 2 * PIECE_CHARACTERS)]
    if len(kept) < len(window.messages):
        window = history.Window(kept, older=kept[0].seq, newer=None)
    return fragments.fresh_conversation(room, window)


def runs(messages: list[Message], max_characters: int) -> list[list[Message]]:
    """Split messages, in order, into runs of about `max_characters`."""
    found: list[list[Message]] = []
    left = 0
    for message in messages:
        if not found or left < len(message.html):
            found.append([])
            left = max_characters
        found[-1].append(message)
        left -= len(message.html) + MARKUP_CHARACTERS
    return found


def joined(parts: list[Parts], max_characters: int) -> tuple[Parts, ...]:
    """Join parts, in order, into pieces of at most `max_characters` where possible."""
    pieces: list[Parts] = [()]
    size = 0
    for some in parts:
        length = sum(len(part.html) for part in some)
        if size and size + length > max_characters:
            pieces.append(())
            size = 0
        pieces[-1] += some
        size += length
    return tuple(pieces)

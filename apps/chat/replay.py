"""What the hub asks about rooms: what a page has missed, and who may go on listening."""

from asgiref.sync import sync_to_async

from apps.chat import fragments, history
from apps.chat.models import Message
from apps.live.hub import Batch
from apps.rooms import fragments as room_fragments
from apps.rooms.access import who_may_see
from apps.rooms.models import Room

# Who missed more than this gets the newest messages instead, like a page freshly loaded.
MOST_REPLAYED = 500


class RoomSource:
    """Knows about topics named `room.<pk>`."""

    async def replay(self, topic: str, since: int) -> Batch:
        """All that changed in the room after number `since`."""
        return await sync_to_async(changes_since)(room_of(topic), since)

    async def heads(self, topics: list[str]) -> dict[str, int]:
        """The last number of each of the rooms that still exist."""
        return await sync_to_async(last_numbers)([room_of(topic) for topic in topics])

    async def allowed(self, topic: str, user_ids: set[int | None]) -> set[int | None]:
        """Those of the users who may see the room."""
        return await sync_to_async(who_may_see)(room_of(topic), user_ids)


def last_numbers(room_pks: list[int]) -> dict[str, int]:
    """The last number of each of the rooms, by the name of its topic."""
    return {room.live_topic: room.last_seq for room in Room.objects.filter(pk__in=room_pks).only("last_seq")}


def room_of(topic: str) -> int:
    """The primary key in a topic's name."""
    return int(topic.partition(".")[2])


def changes_since(room_pk: int, since: int) -> Batch:
    """
    All that changed in a room after number `since`, as one frame's HTML.

    State and not a log: a message that was posted and then edited comes once, as it is now, so that applying it
    twice does no harm.
    """
    # The room first: what is committed after this has a higher number and comes again.
    room = Room.objects.filter(pk=room_pk).first()
    if room is None or room.last_seq <= since:
        return Batch(since, "")
    parts = []
    if room.details_seq > since:
        parts.append(room_fragments.details(room))
    if room.members_seq > since:
        parts.append(room_fragments.members(room))
    changed = list(
        Message.objects.filter(room=room, changed_seq__gt=since)
        .select_related("author")
        .order_by("changed_seq")[: MOST_REPLAYED + 1]
    )
    if len(changed) > MOST_REPLAYED:
        parts.append(fragments.fresh_conversation(room, history.newest(room)))
        return Batch(room.last_seq, "".join(parts))
    for message in changed:
        message.room = room  # its slug is in the fragment
    parts += [fragments.changed_message(message) for message in changed if message.seq <= since]
    new = sorted((message for message in changed if message.seq > since), key=lambda message: message.seq)
    if new:
        parts.append(fragments.new_messages(new))
    return Batch(room.last_seq, "".join(parts))

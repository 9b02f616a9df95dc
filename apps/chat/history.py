"""Pages of a room's history: the newest, or those before, after or around a number."""

from dataclasses import dataclass
from datetime import date

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from apps.chat import extras
from apps.chat.models import MAX_SEQ, Message
from apps.rooms.models import Room

MESSAGES_ON_A_PAGE = 50


@dataclass(frozen=True)
class Window:
    """Messages from oldest to newest. `older` and `newer` are the numbers to continue from, if there are more."""

    messages: list[Message]
    older: int | None
    newer: int | None

    @property
    def first_day(self) -> date | None:
        """The day of the first message, if that has no day heading of its own."""
        if not self.messages or self.messages[0].opens_day:
            return None
        return timezone.localdate(self.messages[0].created_at)


class WindowForm(forms.Form):
    """The page that a URL's query asks for; invalid input means the newest."""

    before = forms.IntegerField(min_value=0, max_value=MAX_SEQ, required=False)
    after = forms.IntegerField(min_value=0, max_value=MAX_SEQ, required=False)
    at = forms.IntegerField(min_value=0, max_value=MAX_SEQ, required=False)


def window(room: Room, query: WindowForm) -> Window:
    """Return the page that the form asks for."""
    query.is_valid()
    asked = query.cleaned_data
    if asked.get("before") is not None:
        return before(room, asked["before"])
    if asked.get("after") is not None:
        return after(room, asked["after"])
    if asked.get("at") is not None:
        return around(room, asked["at"])
    return newest(room)


def newest(room: Room) -> Window:
    """Return the newest messages, up to the room's number when `room` was loaded."""
    messages, more = last(stored(room).filter(seq__lte=room.last_seq), MESSAGES_ON_A_PAGE)
    return Window(in_room(room, messages), older=messages[0].seq if more else None, newer=None)


def before(room: Room, seq: int) -> Window:
    """Return the page just before number `seq`."""
    messages, more = last(stored(room).filter(seq__lt=seq), MESSAGES_ON_A_PAGE)
    newer = messages[-1].seq if messages else max(seq - 1, 0)
    return Window(in_room(room, messages), older=messages[0].seq if more else None, newer=newer)


def after(room: Room, seq: int) -> Window:
    """Return the page just after number `seq`."""
    messages, more = first(stored(room).filter(seq__gt=seq, seq__lte=room.last_seq), MESSAGES_ON_A_PAGE)
    if not messages:
        return newest(room)
    return Window(
        in_room(room, messages),
        older=messages[0].seq if seq else None,
        newer=messages[-1].seq if more else None,
    )


def around(room: Room, seq: int) -> Window:
    """Return the page with number `seq` in the middle."""
    earlier, more_earlier = last(stored(room).filter(seq__lt=seq), MESSAGES_ON_A_PAGE // 2)
    later, more_later = first(stored(room).filter(seq__gte=seq, seq__lte=room.last_seq), MESSAGES_ON_A_PAGE // 2)
    messages = in_room(room, earlier + later)
    return Window(
        messages,
        older=messages[0].seq if more_earlier else None,
        newer=messages[-1].seq if more_later else None,
    )


def stored(room: Room) -> QuerySet[Message]:
    """Return the room's messages, with the relations that rendering needs."""
    return Message.objects.filter(room=room).select_related("author")


def last(messages: QuerySet[Message], count: int) -> tuple[list[Message], bool]:
    """Return the last `count` messages in order, and whether there are more before them."""
    found = list(messages.order_by("-seq")[: count + 1])
    return found[:count][::-1], len(found) > count


def first(messages: QuerySet[Message], count: int) -> tuple[list[Message], bool]:
    """Return the first `count` messages in order, and whether there are more after them."""
    found = list(messages.order_by("seq")[: count + 1])
    return found[:count], len(found) > count


def in_room(room: Room, messages: list[Message]) -> list[Message]:
    """Attach `room` to each message, which saves a query."""
    for message in messages:
        message.room = room
    extras.load(messages)
    return messages

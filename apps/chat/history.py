"""A stretch of a room's conversation: the newest, one before or after a number, or around one."""

from dataclasses import dataclass
from datetime import date

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from apps.chat.models import MAX_SEQ, Message
from apps.rooms.models import Room

MESSAGES_ON_A_PAGE = 50


@dataclass(frozen=True)
class Window:
    """Messages from oldest to newest. `older` and `newer` are numbers to go on from, where there is more."""

    messages: list[Message]
    older: int | None
    newer: int | None

    @property
    def first_day(self) -> date | None:
        """The day of the first message, where no heading of its own says it."""
        if not self.messages or self.messages[0].opens_day:
            return None
        return timezone.localdate(self.messages[0].created_at)


class WindowForm(forms.Form):
    """Which stretch an address asks for; what makes no sense asks for the newest."""

    before = forms.IntegerField(min_value=0, max_value=MAX_SEQ, required=False)
    after = forms.IntegerField(min_value=0, max_value=MAX_SEQ, required=False)
    at = forms.IntegerField(min_value=0, max_value=MAX_SEQ, required=False)


def window(room: Room, query: WindowForm) -> Window:
    """The stretch that a validated form asks for."""
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
    """The end of the conversation, as of the room's number when `room` was loaded."""
    messages, more = last(stored(room).filter(seq__lte=room.last_seq), MESSAGES_ON_A_PAGE)
    return Window(in_room(room, messages), older=messages[0].seq if more else None, newer=None)


def before(room: Room, seq: int) -> Window:
    """What was said just before number `seq`."""
    messages, more = last(stored(room).filter(seq__lt=seq), MESSAGES_ON_A_PAGE)
    newer = messages[-1].seq if messages else max(seq - 1, 0)
    return Window(in_room(room, messages), older=messages[0].seq if more else None, newer=newer)


def after(room: Room, seq: int) -> Window:
    """What was said just after number `seq`."""
    messages, more = first(stored(room).filter(seq__gt=seq, seq__lte=room.last_seq), MESSAGES_ON_A_PAGE)
    if not messages:
        return newest(room)
    return Window(
        in_room(room, messages),
        older=messages[0].seq if seq else None,
        newer=messages[-1].seq if more else None,
    )


def around(room: Room, seq: int) -> Window:
    """Number `seq` with as much before it as after it."""
    earlier, more_earlier = last(stored(room).filter(seq__lt=seq), MESSAGES_ON_A_PAGE // 2)
    later, more_later = first(stored(room).filter(seq__gte=seq, seq__lte=room.last_seq), MESSAGES_ON_A_PAGE // 2)
    messages = in_room(room, earlier + later)
    return Window(
        messages,
        older=messages[0].seq if more_earlier else None,
        newer=messages[-1].seq if more_later else None,
    )


def stored(room: Room) -> QuerySet[Message]:
    """The room's messages, with what rendering them needs."""
    return Message.objects.filter(room=room).select_related("author")


def last(messages: QuerySet[Message], count: int) -> tuple[list[Message], bool]:
    """The last `count` in order, and whether there are more before them."""
    found = list(messages.order_by("-seq")[: count + 1])
    return found[:count][::-1], len(found) > count


def first(messages: QuerySet[Message], count: int) -> tuple[list[Message], bool]:
    """The first `count` in order, and whether there are more after them."""
    found = list(messages.order_by("seq")[: count + 1])
    return found[:count], len(found) > count


def in_room(room: Room, messages: list[Message]) -> list[Message]:
    """The same messages, knowing their room without asking for it."""
    for message in messages:
        message.room = room
    return messages

"""Messages of a running site: posted, edited and deleted by the services, in another process than the site's."""

import uuid
from typing import TypedDict

from django.db.models import F

from apps.accounts.models import User
from apps.chat import services
from apps.chat.models import Message
from apps.rooms import services as rooms
from apps.rooms.models import Membership, Room
from tests.scenes.rooms import first_users, new_room


def say(room: Room, author: User, body: str, client_id: uuid.UUID | None = None) -> Message:
    """For scenes: post a message."""
    return services.post_message(room_id=room.pk, author_id=author.pk, body=body, client_id=client_id or uuid.uuid4())


def post(slug: str, author: str, *bodies: str, client_id: str = "") -> list[int]:
    """Post these, the first one under the client's id if given; returns the messages' ids."""
    room, user = Room.objects.get(slug=slug), User.objects.get(username=author)
    first = uuid.UUID(client_id) if client_id else None
    return [say(room, user, body, None if number else first).pk for number, body in enumerate(bodies)]


def post_in_the_past(slug: str, author: str, moments: list[str]) -> None:
    """Post a message for each of these moments, as if at that moment."""
    for moment in moments:
        # One by one, since each stores whether it opens a day and whether it continues a group.
        Message.objects.filter(pk__in=post(slug, author, moment)).update(created_at=moment)


def edit(message: int, body: str) -> None:
    """Have its author edit the message."""
    services.edit_message(message=Message.objects.get(pk=message), body=body)


def delete(message: int) -> None:
    """Have its author delete the message."""
    one = Message.objects.get(pk=message)
    assert one.author
    services.delete_message(message=one, deleter=one.author)


def times_stored(body: str) -> int:
    """How many messages have this text."""
    return Message.objects.filter(body=body).count()


def count_beginning(text: str) -> int:
    """How many messages begin like this."""
    return Message.objects.filter(body__startswith=text).count()


def newest_body() -> str:
    """The text of the newest message."""
    return Message.objects.latest("pk").body


class Stored(TypedDict):
    """A message as it is stored."""

    message: int
    room: str
    seq: int
    client_id: str
    body: str


def all_stored() -> list[Stored]:
    """Every message, room by room, in the rooms' order."""
    return [
        Stored(message=one.pk, room=one.room.slug, seq=one.seq, client_id=str(one.client_id), body=one.body)
        for one in Message.objects.order_by("room", "seq").select_related("room")
    ]


def create_attic(bodies: list[str]) -> None:
    """Create a public room in which two users post these in turn."""
    users = first_users(2)
    room = new_room(users[0], "Attic", access="public", members=users[1:])
    for number, body in enumerate(bodies):
        say(room, users[number % 2], body)


def create_library() -> None:
    """Create a public room with a short talk: markup, a link, an edited and a deleted message."""
    ada, bob = first_users(2)
    room = new_room(ada, "Library", topic="What we read", access="public", members=[bob])
    say(room, ada, "Which one is **next**?")
    say(room, bob, "I can think of two:\n\n- Middlemarch\n- Solaris")
    say(room, bob, "See https://example.org/list")
    services.delete_message(message=say(room, ada, "Oops"), deleter=ada)
    services.edit_message(message=say(room, ada, "Solairs"), body="Solaris then.")


def create_workshop() -> None:
    """Create an open room with 180 messages that everyone has read."""
    ada, bob = first_users(2)
    room = new_room(ada, "Workshop", topic="Wood and tools", members=[bob])
    for number in range(1, 181):
        say(room, ada if number % 3 == 0 else bob, f"Number {number}")
    room.memberships.update(last_read_seq=10**9, read_count=180)


def edit_and_delete_newest(slug: str, beginning: str) -> None:
    """Of the messages that begin like this, edit the newest and delete the one before."""
    one, two = Message.objects.filter(room__slug=slug, body__startswith=beginning).order_by("-seq")[:2]
    edit(one.pk, "Changed")
    delete(two.pk)


def forget_all_but(slug: str, beginning: str) -> None:
    """Delete the rows of all other messages in the room, without telling its pages."""
    Message.objects.filter(room__slug=slug).exclude(body__startswith=beginning).delete()


def make_fifty_changes(slug: str) -> None:
    """Post 20 messages, edit 15 of them, delete 10, and change the room's topic five times."""
    room = Room.objects.get(slug=slug)
    posted = post(slug, "user0002", *(f"New {number}" for number in range(20)))
    for number, message in enumerate(posted[:15]):
        edit(message, f"Edited {number}")
    for message in posted[:10]:
        delete(message)
    for number in range(5):
        rooms.change_details(room=room, name=room.name, topic=f"Topic {number}", access=room.access)


def go_back(kept: str, lost: str) -> None:
    """Leave the room of the message `kept` as it was before any message beginning with `lost`."""
    count = Message.objects.filter(body__startswith=lost).delete()[0]
    last = Message.objects.get(body=kept)
    room = Room.objects.filter(pk=last.room_id)
    room.update(last_seq=last.seq, message_count=F("message_count") - count)
    Membership.objects.filter(room__in=room).update(last_read_seq=last.seq, read_count=room.get().message_count)

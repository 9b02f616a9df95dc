"""Rooms of a running site: who may see them, their topics, numbers and members."""

from collections.abc import Iterable

from django.db.models import Max

from apps.accounts.models import User
from apps.rooms import services
from apps.rooms.access import room_for
from apps.rooms.models import Room


def new_room(owner: User, name: str, *, topic: str = "", access: str = "open", members: Iterable[User] = ()) -> Room:
    """For scenes: create a room with its members."""
    room = services.create_room(owner=owner, name=name, topic=topic, access=access)
    for member in members:
        services.add_member(room=room, user=member)
    return room


def first_users(count: int) -> list[User]:
    """For scenes: so many of the populated users."""
    return list(User.objects.filter(username__startswith="user").order_by("username")[:count])


def create_one_of_each_access() -> None:
    """Create a private, a public and an open room; the name of the last one has no Latin letter."""
    one, two = first_users(2)
    new_room(one, "Attic", access="private", members=[two])
    new_room(one, "Market", access="public")
    new_room(one, "Новости", access="open")


def set_access(slug: str, access: str) -> None:
    """Set who may see the room, without telling its pages."""
    Room.objects.filter(slug=slug).update(access=access)


def set_topic(slug: str, topic: str) -> None:
    """Set the room's topic, without telling its pages."""
    Room.objects.filter(slug=slug).update(topic=topic)


def remove_member(slug: str, username: str, reason: str) -> None:
    """Remove a member, and tell their pages why."""
    services.remove_member(room=Room.objects.get(slug=slug), user=User.objects.get(username=username), reason=reason)


def last_numbers() -> dict[str, int]:
    """The number of each room's last change, by the room's slug."""
    return dict(Room.objects.values_list("slug", "last_seq"))


def id_and_last_number(slug: str) -> list[int]:
    """The room's id, and the number of its last change."""
    return list(Room.objects.values_list("pk", "last_seq").get(slug=slug))


def set_last_number(slug: str, number: int) -> None:
    """Have the room's next change get the number after this."""
    Room.objects.filter(slug=slug).update(last_seq=number)


def unread_count(username: str, slug: str) -> int:
    """How many messages of the room the user has not read."""
    return room_for(User.objects.get(username=username), slug, counts_unread=True).unread_count


def wrong_counts() -> list[str]:
    """Which stored counts and numbers of rooms and memberships do not match the rows they count."""
    wrong = []
    for room in Room.objects.all():
        said = room.messages
        latest = max(said.aggregate(latest=Max("changed_seq"))["latest"] or 0, room.details_seq, room.members_seq)
        found = {
            "members": room.member_count != room.memberships.count(),
            "messages": room.message_count != said.count(),
            "last number": room.last_seq < latest,
            "a number twice": said.values("changed_seq").distinct().count() != said.count(),
        }
        wrong += [f"{room.slug}: {what}" for what, is_wrong in found.items() if is_wrong]
        for one in room.memberships.all():
            if one.read_count != said.filter(seq__lte=one.last_read_seq).count():
                wrong.append(f"{one}: read")
    return wrong

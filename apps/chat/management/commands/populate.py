"""Fill the site with users, rooms and messages, for demonstrations and benchmarks."""

import random
import uuid
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.names import look_alike_digest
from apps.chat.bulk import Row, write_messages
from apps.chat.models import Message
from apps.chat.rendering import to_html_now
from apps.core import letters, locks
from apps.rooms.models import Room, name_key
from apps.rooms.services import add_members

PASSWORD = "parley-demo"  # noqa: S105  # public: the command refuses to run on a real site
BATCH = 5000
SESSION_LIFE = timedelta(days=14)
# For message ids that are the same in every run.
NAMESPACE = uuid.UUID("6f0c5a2e-4f4e-4a53-9d0e-1f6b6a0c7e11")
# Mostly short, so that authors' messages form groups; a day has a few dozen messages.
PAUSES = [timedelta(seconds=seconds) for seconds in (5, 20, 45, 90, 600, 1800)]

TEXTS = [
    "Good morning!",
    "Has anyone seen the minutes of the last meeting?",
    "They are on the *shared* drive, in the folder **2026**.",
    "Thanks, found them.",
    "I will be ten minutes late today.",
    "No problem, we start with the budget anyway.",
    "> we start with the budget anyway\n\nThen take your time.",
    "Three things for today:\n\n1. the budget\n2. the summer party\n3. who has the key",
    "The key is with me.",
    "This fixes it:\n\n```python\ndef mean(values: list[float]) -> float:\n    return sum(values) / len(values)\n```",
    "What if the list is empty?",
    "Then it raises `ZeroDivisionError`, as it should.",
    "See https://docs.python.org/3/library/statistics.html for more of that kind.",
    "Bin gleich da, *muss nur noch den Zug erwischen*.",
    "שלום לכולם",
    "Could somebody look over the text before it goes out? It is not long, about two pages, and I am most unsure of "
    "the second half, where it explains why we moved the date.",
    "I can do it tonight.",
    "~~Tonight~~ tomorrow morning, sorry.",
    "Great, thank you both. 🎉",
    "- bread\n- cheese\n- something for the vegetarians",
    "Is the room booked?",
    "Yes, from six o'clock on.",
    "`make test` passes here, with and without Redis.",
    "+1",
]


class Command(BaseCommand):
    help = "Fill the site with people, rooms and messages; the same ones in every run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", type=int, default=20)
        parser.add_argument("--rooms", type=int, default=5)
        parser.add_argument("--messages", type=int, default=500, help="in all rooms together")
        parser.add_argument("--texts", metavar="FILE", help="say these, one a line and in order")
        parser.add_argument("--sessions", metavar="FILE", help="write one sessionid a line, user by user")
        parser.add_argument("--force", action="store_true", help="even where SITE_URL is https")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.SITE.is_https and not options["force"]:
            raise CommandError("SITE_URL is https, so this may be a real site; its password is known. Use --force.")
        if min(options["users"], options["rooms"]) < 1 or options["messages"] < 0:
            raise CommandError("At least one user and one room, and no negative number of messages.")
        users, rooms = people_and_rooms(options["users"], options["rooms"])
        texts = Path(options["texts"]).read_text(encoding="utf-8").splitlines() if options["texts"] else []
        for number, room in enumerate(rooms):
            share = options["messages"] // len(rooms) + (number < options["messages"] % len(rooms))
            fill(room, users, share, texts)
            room.refresh_from_db()
            room.memberships.update(last_read_seq=room.last_seq, read_count=room.message_count)
        if options["sessions"]:
            write_sessions(users, Path(options["sessions"]))
        self.stdout.write(
            f"{len(users)} users (user0001 ..., password {PASSWORD}), {len(rooms)} rooms, "
            f"{Message.objects.filter(room__in=rooms).count()} messages."
        )


@transaction.atomic
def people_and_rooms(users_count: int, rooms_count: int) -> tuple[list[User], list[Room]]:
    """Return the users and rooms, after making all users members of all rooms and of the lobby."""
    locks.who_is_here()
    users = make_users(users_count)
    found: list[Room] = locks.find(*make_rooms(rooms_count), *Room.objects.filter(is_lobby=True))
    for room in found:
        add_members(room=room, users=users)
    return users, found[:rooms_count]


def make_users(count: int) -> list[User]:
    """Return the first `count` of user0001 ..., creating those that are missing."""
    names = [f"user{number:04}" for number in range(1, count + 1)]
    password = make_password(PASSWORD)
    User.objects.bulk_create(
        [
            User(
                username=name,
                password=password,
                name_digest=look_alike_digest(name),
                name_key=letters.key(name),
                is_demonstration=True,
            )
            for name in names
        ],
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    # Not `username__in`: databases limit the number of parameters.
    found = locks.rows(User.objects.filter(username__startswith="user"))
    by_name = {user.username: user for user in found}
    return [by_name[name] for name in names]


def make_rooms(count: int) -> list[Room]:
    """Return the first `count` of room-001 ..., creating those that are missing."""
    rooms = []
    for number in range(1, count + 1):
        name = f"Room {number:03}"
        room, _ = Room.objects.get_or_create(
            slug=f"room-{number:03}", defaults={"name": name, "name_key": name_key(name), "access": Room.Access.OPEN}
        )
        rooms.append(room)
    return rooms


def fill(room: Room, users: list[User], share: int, in_order: list[str]) -> None:
    """Fill the room up to `share` messages, with the given texts in order, or else with random ones of ours."""
    there = room.messages.count()
    if there >= share:
        return
    rendered = [(text, to_html_now(text)) for text in in_order or TEXTS]
    chance = random.Random(f"{room.slug} {there}")  # noqa: S311  # must be the same in every run
    texts = cycle(rendered) if in_order else iter(lambda: chance.choice(rendered), None)
    write_messages(room=room, rows=conversation(room, users, texts, share - there, chance))


def conversation(
    room: Room, users: list[User], texts: Iterator[tuple[str, str]], count: int, chance: random.Random
) -> Iterator[Row]:
    """Yield `count` messages that continue the room's history, ending about now."""
    pauses = [chance.choice(PAUSES) for _ in range(count)]
    previous = room.messages.order_by("-seq").first()
    moment = timezone.now() - sum(pauses, timedelta())
    if previous:
        moment = max(moment, previous.created_at)
    author_id = previous.author_id if previous else None
    for seq, pause in enumerate(pauses, room.last_seq + 1):
        moment += pause
        if author_id is None or chance.random() >= 0.4:
            author_id = chance.choice(users).pk
        body, html = next(texts)
        yield Row(author_id, uuid.uuid5(NAMESPACE, f"{room.slug} {seq}"), moment, body, html)


def write_sessions(users: list[User], file: Path) -> None:
    """Create a session for each user, and write the session keys in the same order."""
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    expires = timezone.now() + SESSION_LIFE
    sessions = [
        Session(
            session_key=store._get_new_session_key(),
            session_data=store.encode(
                {
                    SESSION_KEY: str(user.pk),
                    BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
                    HASH_SESSION_KEY: user.get_session_auth_hash(),
                }
            ),
            expire_date=expires,
        )
        for user in users
    ]
    Session.objects.bulk_create(sessions, batch_size=BATCH)
    file.write_text("".join(f"{session.session_key}\n" for session in sessions))

"""
Every verb that writes, run on rooms and users that others use at the same time.

`python -m tests.verbs` is a process that runs them: it reads lines of a verb and seconds, runs the verb for that long
in several threads, and prints the outcome as JSON.
"""

import json
import os
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import django

if __name__ == "__main__":
    django.setup()

from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ObjectDoesNotExist
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from apps.accounts import closing, pictures
from apps.accounts import invitations as links
from apps.accounts import services as accounts
from apps.accounts.models import Invitation, User
from apps.chat import bulk, reading
from apps.chat import services as chat
from apps.chat.models import Message
from apps.core import locks
from apps.core.database import is_busy, is_taken
from apps.core.errors import Refusal
from apps.core.hashing import digest as digest_of
from apps.rooms import invitations, services
from apps.rooms.models import Membership, Room, RoomInvitation

M = TypeVar("M", bound=Model)
Act = Callable[[], object]
THREADS = int(os.environ.get("THREADS", "2"))
# The minimum number of each, and how many of the newest are used.
ROOMS, PEOPLE, NEWEST = 3, 6, 3
DEADLOCK = "40P01"  # PostgreSQL's code


class NothingThereError(Exception):
    """There is nothing to run the verb on just now."""


def any_of(rows: "QuerySet[M]") -> M:
    """A random one of the newest rows: few, so that threads collide."""
    found = list(rows.order_by("-pk")[:NEWEST])
    if not found:
        raise NothingThereError
    return random.choice(found)


def any_room() -> Room:
    return any_of(Room.objects.filter(is_lobby=False, archived_at=None, member_count__gt=1))


def any_member(**more: Any) -> Membership:
    there = Membership.objects.filter(room=any_room(), user__is_active=True, **more)
    return any_of(there.select_related("room", "user"))


def another_member(one: Membership) -> User:
    return any_of(Membership.objects.filter(room=one.room).exclude(user=one.user).select_related("user")).user


def any_person() -> User:
    return any_of(User.objects.filter(is_active=True, role=User.Role.MEMBER))


def any_message() -> Message:
    return any_of(Message.objects.filter(deleted_at=None).exclude(author=None))


def name(kind: str) -> str:
    return f"{kind}{uuid.uuid4().hex[:12]}"


def new_person() -> User:
    return User.objects.create(username=name("p"))


def new_room(people: int = 3) -> Room:
    """A room with some members, who have each posted."""
    owner, *others = User.objects.filter(is_active=True).order_by("?")[:people]
    room = services.create_room(owner=owner, name=name("r"), topic="", access=random.choice(Room.Access.values))
    for user in others:
        services.add_member(room=room, user=user)
    for author in (owner, *others):
        say(room, author)
    return room


def say(room: Room, author: User) -> Message:
    return chat.post_message(
        room_id=room.pk, author_id=author.pk, body=name("m"), client_id=uuid.uuid4(), html="<p>m</p>"
    )


def fill_up() -> None:
    """Make sure that there are enough users and rooms."""
    for _ in range(PEOPLE - User.objects.filter(is_active=True).count()):
        new_person()
    if not User.objects.filter(role=User.Role.OWNER).exists():
        accounts.set_role(user=User.objects.filter(is_active=True).order_by("pk")[0], role=User.Role.OWNER)
    Room.objects.exclude(archived_at=None).update(archived_at=None)
    for _ in range(ROOMS - Room.objects.filter(is_lobby=False, member_count__gt=1, message_count__gt=0).count()):
        new_room()


# Each chooses or creates what it acts on, and returns the act.


def create_room() -> Act:
    return partial(services.create_room, owner=any_person(), name=name("r"), topic="", access="open")


def change_details() -> Act:
    access = random.choice(Room.Access.values)
    return partial(services.change_details, room=any_room(), name=name("r"), topic="x", access=access)


def set_archived() -> Act:
    room = any_room()

    def act() -> None:
        services.set_archived(room=room, archived=True)
        services.set_archived(room=room, archived=False)

    return act


def delete_room() -> Act:
    fill_up()
    return partial(services.delete_room, room=any_room())


def join_room() -> Act:
    return partial(services.join_room, room=any_room(), user=any_person())


def leave() -> Act:
    one = any_member()
    return partial(services.remove_member, room=one.room, user=one.user, reason="")


def remove_member() -> Act:
    one = any_member()
    return partial(services.remove_member, room=one.room, user=one.user, reason="", by=another_member(one))


def set_role() -> Act:
    one = any_member()
    return partial(services.set_role, room=one.room, user=one.user, role=random.choice(Membership.Role.values))


def hand_over() -> Act:
    one = any_member(role=Membership.Role.OWNER)
    return partial(services.hand_over, room=one.room, owner=one.user, heir=another_member(one))


def invite() -> Act:
    one = any_member(role__lt=Membership.Role.MEMBER)
    return partial(invitations.invite, room=one.room, user=any_person(), inviter=one.user)


def open_invitation() -> RoomInvitation:
    invite()()
    return any_of(RoomInvitation.objects.pending().select_related("user", "room"))


def accept() -> Act:
    return partial(invitations.accept, invitation=open_invitation())


def decline() -> Act:
    return partial(invitations.decline, invitation=open_invitation())


def withdraw() -> Act:
    found = open_invitation()
    return partial(invitations.withdraw, room=found.room, username=found.user.username)


def post_message() -> Act:
    one = any_member()
    return partial(say, one.room, one.user)


def edit_message() -> Act:
    return partial(chat.edit_message, message=any_message(), body=name("e"), html="<p>e</p>")


def delete_message() -> Act:
    return partial(chat.delete_message, message=any_message(), deleter=any_person())


def write_messages() -> Act:
    one = any_member()
    rows = [bulk.Row(user.pk, uuid.uuid4(), timezone.now(), "m", "<p>m</p>") for user in (one.user, any_person())]
    return partial(bulk.write_messages, room=one.room, rows=rows)


def read() -> Act:
    one = any_member()
    return partial(reading.mark_read, room=one.room, user=one.user, seq=one.room.last_seq)


def announce() -> Act:
    one = any_member()
    level = random.choice(Membership.Announces.values)
    return lambda: one.room.memberships.filter(user=one.user).update(announces=level)


def profile() -> Act:
    user = any_person()
    user.display_name = name("d")
    return partial(locks.store, user, ["display_name"])


def picture() -> Act:
    user = any_person()

    def act() -> None:
        pictures.store(user=user, small=b"s", large=b"l")
        pictures.remove(user=user)

    return act


def username() -> Act:
    return partial(accounts.change_username, user=any_person(), username=name("n"))


def site_role() -> Act:
    one = new_person()
    role = random.choice([User.Role.MODERATOR, User.Role.MEMBER])
    return partial(accounts.change_role, user=random.choice([one, any_person()]), role=role)


def close_own() -> Act:
    new_person()
    whole = random.random() < 0.5
    return partial(closing.close_account, user=any_person(), delete_messages=whole, heir=None)


def close_anothers() -> Act:
    new_person()
    owner = any_of(User.objects.filter(role=User.Role.OWNER))
    return partial(closing.close_account_of, user=any_person(), owner=owner, delete_messages=random.random() < 0.7)


def sign_up() -> Act:
    link = make_link(any_member(role__lt=Membership.Role.MEMBER))

    def act() -> None:
        with transaction.atomic():
            user = new_person()
            accounts.claim_unowned_site(user=user)
            links.accept(digest=link.digest, user=user)

    return act


def make_link(one: Membership) -> Invitation:
    token = links.make(made_by=one.user, room_id=one.room_id, note="", days=1, most_uses=5)
    return Invitation.objects.get(digest=digest_of(token))


def link() -> Act:
    one = any_member()
    return partial(links.make, made_by=one.user, room_id=one.room_id, note="", days=1, most_uses=5)


def follow() -> Act:
    found = make_link(any_member(role__lt=Membership.Role.MEMBER))
    found = any_of(Invitation.objects.filter(revoked_at=None)) or found
    return partial(links.accept, digest=found.digest, user=any_person())


def revoke() -> Act:
    return partial(links.revoke, invitation=make_link(any_member()))


def device() -> Act:
    """Sign in on a device, and end that session from another."""
    user = any_person()

    def act() -> None:
        session = SessionStore()
        session.create()
        key = session.session_key or ""
        one = UserSession.objects.create(user=user, session_key=key, ip="127.0.0.1", user_agent="")
        one.end()

    return act


def populate() -> Act:
    def run() -> None:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    # As in a separate process: commands have no limits.
                    cursor.execute("SET LOCAL lock_timeout = 0")
            call_command("populate", users=2, rooms=2, messages=4, verbosity=0, stdout=_Nowhere())

    return run


class _Nowhere:
    def write(self, text: str) -> None:
        pass


VERBS: dict[str, Callable[[], Act]] = {
    one.__name__: one
    for one in (
        *(create_room, change_details, set_archived, delete_room, join_room, leave, remove_member, set_role, hand_over),
        *(invite, accept, decline, withdraw, post_message, edit_message, delete_message, write_messages, read),
        *(announce, profile, picture, username, site_role, close_own, close_anothers, sign_up, link, follow, revoke),
        *(device, populate),
    )
}
# Verbs of the registry (apps/rooms/verbs.py) that are done as a part of another.
WITHIN = {
    "add_member": "sign_up",
    "add_members": "populate",
    "leave_all_rooms": "close_own",
    "part_with": "close_own",
    "delete_all_by": "close_anothers",
}

REFUSALS = (Refusal, locks.Gone)


@dataclass
class Outcome:
    """How often a verb was done, refused or skipped."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def do(self, verb: str) -> None:
        """Run a verb once. What it acts on may disappear at any time, even while it is being chosen."""
        try:
            act = VERBS[verb]()
        except (NothingThereError, ObjectDoesNotExist, *REFUSALS):
            self.counts["skipped"] += 1
            return
        except (OperationalError, IntegrityError) as error:
            self.note(f"before {verb}", error)
            return
        try:
            act()
            self.counts["done"] += 1
        except REFUSALS:
            self.counts["refused"] += 1
        except Exception as error:
            self.note(verb, error)

    def note(self, verb: str, error: Exception) -> None:
        """Count an error that is not a refusal: a deadlock, or anything else that users would not be told."""
        if getattr(error.__cause__, "sqlstate", None) == DEADLOCK:
            self.counts["deadlocks"] += 1
        elif is_busy(error):
            self.counts["busy"] += 1  # waiting too long for a lock is reported, on a busy machine
        elif verb in {"create_room", "change_details", "username", "sign_up", "populate"} and is_taken(error):
            self.counts["refused"] += 1  # the forms report it (core/forms.py)
        elif verb == "device" and locks.is_gone(error):
            self.counts["refused"] += 1  # an account that is deleted while its user signs in
        else:
            self.faults.append(f"{verb}: {type(error).__module__}.{type(error).__name__}: {error}"[:300])


def do_for(threads: ThreadPoolExecutor, verb: str, seconds: float) -> Outcome:
    """Run a verb repeatedly, in several threads."""
    outcome, until = Outcome(), time.monotonic() + seconds

    def work() -> None:
        outcome.do(verb)
        while time.monotonic() < until:
            outcome.do(verb)

    # The threads and their connections are kept: connecting takes longer than most verbs.
    for one in [threads.submit(work) for _ in range(THREADS)]:
        one.result()
    return outcome


def main() -> None:
    """Read lines of a verb and seconds, or `fill`, and print the outcome of each."""
    with ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin:
            verb, seconds = line.split()
            outcome = Outcome()
            if verb == "fill":
                fill_up()
            else:
                outcome = do_for(threads, verb, float(seconds))
            print(json.dumps({"counts": outcome.counts, "faults": outcome.faults[:20]}), flush=True)


if __name__ == "__main__":
    main()

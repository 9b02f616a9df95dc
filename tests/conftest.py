"""Users and rooms to test with."""

import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.test import Client
from django_tasks import task_backends
from django_tasks.backends.immediate import ImmediateBackend
from pytest_django import Settings

from apps.accounts.models import User
from apps.chat import services as chat
from apps.chat.models import Message
from apps.core import limits, trouble
from apps.live import limits as live_limits
from apps.rooms import services as rooms
from apps.rooms.models import Membership, Room


@pytest.fixture(autouse=True)
def _cheap_passwords(settings: Settings) -> None:
    """Hashing is slow on purpose, and tests sign up hundreds of users. Tests that measure it use the real hashers."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _jobs_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are enqueued, at once; tests of jobs themselves have the real way."""
    immediate = ImmediateBackend("default", {"QUEUES": list(limits.JOB_THREADS)})
    monkeypatch.setattr(task_backends, "_connections", SimpleNamespace(default=immediate))


@pytest.fixture(autouse=True)
def _no_rate_limits_from_other_tests() -> Iterator[None]:
    yield
    cache.clear()
    live_limits._allowances.clear()
    for one in trouble._known:
        one.is_on = one.is_said = False


def make_user(name: str, **more: object) -> User:
    """An account without a password; `client_of` signs it in."""
    return User.objects.create(username=name, **more)


def client_of(user: User | None) -> Client:
    """A browser in which the user is signed in, or no one if it is None."""
    client = Client()
    if user:
        client.force_login(user)
    return client


PASSWORD = "correct horse battery 9"


def sign_up(name: str, **more: str) -> tuple[Client, int]:
    """A browser in which someone has sent the sign-up form, and the status of the answer."""
    client = Client()
    form = {"username": name, "password1": PASSWORD} | more
    return client, client.post("/accounts/signup/", form).status_code


def confirm_password(client: Client) -> None:
    """Confirm the password, as required before important changes."""
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def say(room: Room, author: User, body: str = "Hello") -> Message:
    """Post a message through the service."""
    return chat.post_message(room_id=room.pk, author_id=author.pk, body=body, client_id=uuid.uuid4())


class Cast:
    """A private room with its owner, a moderator, a member and an outsider. No one owns the site."""

    def __init__(self) -> None:
        self.owner, self.moderator = make_user("owner"), make_user("moderator")
        self.member, self.outsider = make_user("member"), make_user("outsider")
        self.room = rooms.create_room(owner=self.owner, name="Attic", topic="", access=Room.Access.PRIVATE)
        rooms.add_member(room=self.room, user=self.moderator, role=Membership.Role.MODERATOR)
        rooms.add_member(room=self.room, user=self.member)
        self.room.refresh_from_db()

    def status_for_each(self, request: Callable[[Client], int]) -> dict[str, int]:
        """The status that each of them, and a signed-out visitor, gets; from the least rights to the most."""
        people = {"outsider": self.outsider, "member": self.member, "moderator": self.moderator, "owner": self.owner}
        statuses = {"anonymous": request(client_of(None))}
        return statuses | {name: request(client_of(user)) for name, user in people.items()}

    def open(self, access: str = Room.Access.OPEN) -> None:
        """Let more than the members see the room."""
        Room.objects.filter(pk=self.room.pk).update(access=access)
        self.room.refresh_from_db()


@pytest.fixture
def cast(db: None) -> Cast:
    return Cast()


@pytest.fixture
def lobby(db: None) -> Room:
    return Room.objects.get(is_lobby=True)

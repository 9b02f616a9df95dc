"""
Scenes: each kind of change that a verb makes, done once to a small room (tests/chat/test_changes.py checks them all).

An app's scenes are in tests/<app>/scenes.py.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from django.conf import settings

from apps.accounts.models import User
from apps.rooms import services as rooms
from apps.rooms.models import Room
from apps.rooms.verbs import Kind
from tests.conftest import Cast, client_of, make_user, say

ROLES = ("anonymous", "outsider", "banned", "member", "moderator", "owner")
# What the actor types, to be looked for later.
WORDS = "Zebra"


class Stage(Cast):
    """An open room with a message by its member; a user who was removed from it, and one who only looks."""

    def __init__(self) -> None:
        super().__init__()
        self.open()
        self.viewer = make_user("viewer")
        self.banned = make_user("banned")
        rooms.add_member(room=self.room, user=self.banned)
        rooms.remove_member(room=self.room, user=self.banned, reason="", by=self.owner)
        for user in (self.owner, self.moderator, self.member, self.outsider, self.banned):
            user.display_name = f"Dr. {user.username.title()}"
            user.save()
        self.message = say(self.room, self.member, WORDS)
        self.client_id = uuid.uuid4()

    def user_of(self, role: str) -> User | None:
        return None if role == "anonymous" else getattr(self, role)


@dataclass(frozen=True)
class Form:
    """
    The form that makes the change, and what each of ROLES is answered; with a "+" where it was changed.

    The room is as the scene has it, archived, or deleted; the message, if it is about one, deleted.
    """

    path: str
    data: dict[str, str]
    allowed: str
    archived: str
    deleted: str
    message_deleted: str = ""

    def submit(self, stage: Stage, role: str) -> int:
        path = self.path.format(message=stage.message.pk)
        data = {name: value.format(client_id=stage.client_id) for name, value in self.data.items()}
        return client_of(stage.user_of(role)).post(path, data).status_code


def nothing(stage: Stage) -> None:
    """Leave the stage as it is."""


@dataclass(frozen=True)
class Scene:
    """A change of one kind."""

    kind: Kind
    verb: str
    act: Callable[[Stage], object]
    # The role of the actor.
    actor: str
    prepare: Callable[[Stage], None] = nothing
    # None if there is none: other code calls the verb.
    form: Form | None = None
    # A file of the actor's data, and what of the change is in it.
    archive: tuple[str, str] | None = None
    # How many of the room's numbers the change takes.
    numbers: int = 1
    # Whether WORDS are gone once the actor has closed their account with all their messages.
    is_personal: bool = False

    @property
    def name(self) -> str:
        return f"{self.verb}-{self.kind.name}"


@cache
def all_scenes() -> tuple[Scene, ...]:
    """Return the scenes of every app."""
    files = sorted((settings.BASE_DIR / "tests").glob("*/scenes.py"))
    return tuple(scene for file in files for scene in import_module(f"tests.{file.parent.name}.scenes").SCENES)


def prepared(scene: Scene) -> Stage:
    """Return a stage on which the change can be made."""
    stage = Stage()
    scene.prepare(stage)
    stage.room = Room.objects.get(pk=stage.room.pk)
    return stage

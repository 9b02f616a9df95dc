"""
The contract of every verb that changes a room or its messages, for each kind of change that it makes.

Add a scene for a new one to tests/<app>/scenes.py.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from apps.accounts import closing, exports
from apps.accounts.models import User
from apps.chat import services
from apps.chat.changes import EDITED, change_message, messages_changed
from apps.chat.replay import changes_since
from apps.core import locks
from apps.core.errors import Refusal
from apps.live import broadcast
from apps.live.parts import Parts, to_htmx
from apps.rooms import changes
from apps.rooms import services as rooms
from apps.rooms.changes import change_room, room_changed, take_numbers
from apps.rooms.models import Membership, Room
from apps.rooms.verbs import VERBS, Kind, verb
from tests.chat.pages import live_view_of, page_of
from tests.conftest import Cast, say
from tests.contract import ROLES, WORDS, Form, Scene, Stage, all_scenes, prepared

pytestmark = pytest.mark.django_db

SCENES = {scene.name: scene for scene in all_scenes()}
NUMBERED = {name: scene for name, scene in SCENES.items() if scene.numbers}
BY_USERS = {name: scene for name, scene in SCENES.items() if scene.actor != "anonymous"}
SHOWN_BY_USERS = {name: scene for name, scene in BY_USERS.items() if scene.numbers}
ARCHIVED = {name: (scene, *scene.archive) for name, scene in SCENES.items() if scene.archive}

each = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
each_numbered = pytest.mark.parametrize("scene", NUMBERED.values(), ids=NUMBERED)


@dataclass
class Heard:
    """What signals and broadcasts said of a change, but for the lobby, which everyone is in."""

    signals: list[tuple[Kind, User | None]] = field(default_factory=list)
    # The numbers and frames that open pages were told.
    numbers: list[int] = field(default_factory=list)
    frames: list[Parts] = field(default_factory=list)
    # Whose pages were ended; None for everyone's.
    ended: list[int | None] = field(default_factory=list)

    def note(self, sender: Any, *, kind: Kind, room: Room, actor: User | None, **more: Any) -> None:
        if not room.is_lobby:
            self.signals.append((kind, actor))

    def change(self, topic: str, seq: int, render: Callable[[], Parts]) -> None:
        if topic != lobby_topic():
            self.numbers.append(seq)
            self.frames.append(render())

    def revoke(self, topic: str, *, user_id: int | None, render: Callable[[], Parts]) -> None:
        if topic != lobby_topic():
            self.ended.append(user_id)


def lobby_topic() -> str:
    return Room.objects.get(is_lobby=True).live_topic


@contextmanager
def listening() -> Iterator[Heard]:
    """Hear what is signalled and, once the block is committed, broadcast."""
    heard = Heard()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(broadcast, "change", heard.change)
        patch.setattr(broadcast, "revoke", heard.revoke)
        for signal in (room_changed, messages_changed):
            signal.connect(heard.note)
            stack.callback(signal.disconnect, heard.note)
        with TestCase.captureOnCommitCallbacks(execute=True):
            yield heard
            assert not heard.frames, "pages were told before the commit"


def perform(scene: Scene, stage: Stage) -> Heard:
    """Make the change."""
    with listening() as heard:
        scene.act(stage)
    return heard


def head_of(stage: Stage) -> int | None:
    """The number of the room's last change; None if it was deleted."""
    return Room.objects.filter(pk=stage.room.pk).values_list("last_seq", flat=True).first()


def test_each_verb_has_a_scene_for_each_kind_of_change() -> None:
    declared = {f"{name}-{kind.name}" for name, found in VERBS.items() for kind in found.kinds}
    assert declared == set(SCENES)


@each
def test_a_change_takes_its_number_sends_one_signal_and_tells_it_once(scene: Scene) -> None:
    stage = prepared(scene)
    heard = perform(scene, stage)
    assert heard.signals == [(scene.kind, stage.user_of(scene.actor))]
    if scene.kind.name == "room_deleted":
        assert (head_of(stage), heard.numbers, heard.ended) == (None, [], [None])
    else:
        taken = list(range(stage.room.last_seq + 1, stage.room.last_seq + 1 + scene.numbers))
        assert (head_of(stage), heard.numbers) == (stage.room.last_seq + scene.numbers, taken)


@each_numbered
def test_a_change_of_nothing_takes_no_number_and_sends_nothing(scene: Scene) -> None:
    stage = prepared(scene)
    scene.act(stage)
    before = head_of(stage)
    with listening() as heard, suppress(Refusal, locks.Gone, ObjectDoesNotExist):
        scene.act(stage)
    assert (head_of(stage), heard) == (before, Heard())


@each_numbered
def test_a_page_that_was_told_one_that_came_back_and_a_fresh_one_show_the_same(scene: Scene) -> None:
    stage = prepared(scene)
    live = page_of(stage.viewer, stage.room.get_absolute_url())
    returned, before = deepcopy(live), deepcopy(live)
    for frame in perform(scene, stage).frames:
        live.apply(frame)
    returned.apply(replayed(stage))
    fresh = page_of(stage.viewer, stage.room.get_absolute_url())
    assert live == returned == fresh
    assert fresh != before, "the scene changes what is shown"


@each_numbered
def test_a_change_that_is_shown_twice_is_shown_once(scene: Scene) -> None:
    stage = prepared(scene)
    once = page_of(stage.viewer, stage.room.get_absolute_url())
    frames = [*perform(scene, stage).frames, replayed(stage)]
    for frame in frames:
        once.apply(frame)
    twice = deepcopy(once)
    for frame in frames:
        twice.apply(frame)
    assert twice == once


# What adds a message to a live view, by whether it patches.
NEW_ENTRY = {True: re.compile('<template for="more">'), False: re.compile('<li id="message-')}


@pytest.mark.parametrize("patches", [True, False], ids=["patching", "appending"])
@each_numbered
def test_a_live_view_shows_in_the_end_what_a_fresh_page_shows(scene: Scene, patches: bool) -> None:
    stage = prepared(scene)
    before = page_of(stage.viewer, stage.room.get_absolute_url())
    told, returned = (live_view_of(stage.viewer, stage.room.slug, before, patches=patches) for _ in range(2))
    for frame in perform(scene, stage).frames:
        told.apply(frame)
        assert not NEW_ENTRY[patches].search(told.apply(frame)), "a frame that comes twice adds a message twice"
    returned.apply(replayed(stage))
    fresh = page_of(stage.viewer, stage.room.get_absolute_url())
    shown = live_view_of(stage.viewer, Room.objects.get(pk=stage.room.pk).slug, fresh, patches=patches)
    assert told.entries == returned.entries == shown.entries


def replayed(stage: Stage) -> Parts:
    """What a page is sent that missed the change."""
    return parts_since(stage.room)


def parts_since(room: Room) -> Parts:
    """What a page is sent that has shown the room as it was."""
    return tuple(chain.from_iterable(changes_since(room.pk, room.last_seq).pieces))


# What the room and the message are like when the form is sent.
STATES: dict[str, Callable[[Stage], object]] = {
    "allowed": lambda stage: None,
    "archived": lambda stage: rooms.set_archived(room=stage.room, archived=True),
    "deleted": lambda stage: rooms.delete_room(room=stage.room),
    "message_deleted": lambda stage: services.delete_message(message=stage.message, deleter=stage.owner),
}


def answers(scene: Scene, form: Form, state: str) -> str:
    """What each role is answered to the scene's form, with a "+" where it changed something."""
    stage, found = prepared(scene), []
    STATES[state](stage)
    for role in ROLES:
        with transaction.atomic(), listening() as heard:
            status = form.submit(stage, role)
            found.append(f"{status}+" if heard.signals else str(status))
            transaction.set_rollback(True)
    return " ".join(found)


FORMS = {
    f"{name}-{state}": (scene, scene.form, state)
    for name, scene in SCENES.items()
    for state in STATES
    if scene.form and (state != "message_deleted" or "{message}" in scene.form.path)
}


@pytest.mark.parametrize(("scene", "form", "state"), FORMS.values(), ids=FORMS)
def test_who_may_make_a_change_by_its_form(scene: Scene, form: Form, state: str) -> None:
    assert answers(scene, form, state) == getattr(form, state)


def queries_in(scene: Scene, members: int) -> int:
    """How many queries the change takes, with what its broadcast renders, in a room of so many members."""
    stage = prepared(scene)
    missing = members - stage.room.memberships.count()
    users = User.objects.bulk_create(
        User(username=f"u{number}", name_digest=f"{number}", name_key=f"u{number}") for number in range(missing)
    )
    Membership.objects.bulk_create(Membership(room=stage.room, user=user) for user in users)
    Room.objects.filter(pk=stage.room.pk).update(member_count=members)
    with CaptureQueriesContext(connection) as queries:
        perform(scene, stage)
    return len(queries)


@each_numbered
def test_a_change_takes_as_many_queries_in_a_large_room_as_in_a_small_one(scene: Scene) -> None:
    with transaction.atomic():
        few = queries_in(scene, 4)
        transaction.set_rollback(True)
    assert queries_in(scene, 300) == few


@each_numbered
def test_only_what_may_be_spoken_is(scene: Scene) -> None:
    """A page speaks of a message that is new to it, or whose version is (arrivals.js)."""
    stage = prepared(scene)
    versions = versions_in("".join(page_of(stage.viewer, stage.room.get_absolute_url()).messages.values()))
    told = versions_in("".join(map(to_htmx, perform(scene, stage).frames)))
    is_spoken = any(version > versions.get(pk, 0) for pk, version in told.items())
    assert is_spoken == scene.kind.announced


def versions_in(html: str) -> dict[str, int]:
    """The version of each message in some HTML, by its key."""
    found = re.findall(r'<li id="message-(\d+)".*?data-version="(\d+)"', html, re.DOTALL)
    return {pk: int(version) for pk, version in found}


def everything() -> str:
    """All that is stored, as text."""
    return "".join(
        serializers.serialize("json", model._base_manager.all())
        for model in apps.get_models()
        if model.__module__.startswith("apps.")
    )


def row_counts_without_rooms() -> dict[str, int]:
    """How many rows each table has once all rooms are deleted."""
    for room in Room.objects.filter(is_lobby=False):
        rooms.delete_room(room=room)
    return {model._meta.db_table: model._base_manager.count() for model in apps.get_models(include_auto_created=True)}


def written_by(act: Callable[[], object]) -> set[str]:
    """The tables that get new or other rows."""
    tables = set()

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if found := re.match(r'(?:INSERT (?:OR IGNORE )?INTO|UPDATE) "(\w+)"', sql):
            tables.add(found[1])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        act()
    return tables


@each
def test_what_a_change_stored_goes_with_the_room(scene: Scene) -> None:
    stage = prepared(scene)
    with transaction.atomic():
        before = row_counts_without_rooms()
        transaction.set_rollback(True)
    tables = written_by(lambda: scene.act(stage))
    after = row_counts_without_rooms()
    assert {table: after[table] for table in tables} == {table: before[table] for table in tables}


@pytest.mark.parametrize("scene", BY_USERS.values(), ids=BY_USERS)
def test_what_a_change_stores_about_a_user_is_deleted_with_their_account(scene: Scene) -> None:
    stage = prepared(scene)
    scene.act(stage)
    user = stage.user_of(scene.actor)
    assert user
    closing.close_account(user=user, delete_messages=True, heir=None)
    left = everything()
    assert user.display_name not in left
    if scene.is_personal:
        assert WORDS not in left


@pytest.mark.parametrize("scene", SHOWN_BY_USERS.values(), ids=SHOWN_BY_USERS)
def test_pages_show_what_a_closed_account_leaves_of_a_change(scene: Scene) -> None:
    stage = prepared(scene)
    scene.act(stage)
    user, room = stage.user_of(scene.actor), Room.objects.get(pk=stage.room.pk)
    assert user
    returned = page_of(stage.viewer, room.get_absolute_url())
    closing.close_account(user=user, delete_messages=False, heir=None)
    returned.apply(parts_since(room))
    assert returned == page_of(stage.viewer, room.get_absolute_url())


@pytest.mark.parametrize(("scene", "name", "text"), ARCHIVED.values(), ids=ARCHIVED)
def test_what_a_change_stores_about_a_user_is_in_their_data(scene: Scene, name: str, text: str) -> None:
    stage = prepared(scene)
    user = stage.user_of(scene.actor)
    assert user
    assert text not in archived(user, name)
    scene.act(stage)
    assert text in archived(user, name)


def archived(user: User, name: str) -> str:
    """A file from the archive of a user's data."""
    data = zipfile.ZipFile(io.BytesIO(b"".join(exports.archive(user))))
    return data.read(name).decode()


@each
def test_what_a_change_stores_is_in_the_database_that_backups_copy_whole(scene: Scene) -> None:
    stage = prepared(scene)
    tables = written_by(lambda: scene.act(stage))
    assert tables <= set(connection.introspection.django_table_names(only_existing=True))


def test_a_change_within_another_to_the_same_room_is_refused(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    with change_room(cast.room, changes.DESCRIBED) as change:
        with pytest.raises(RuntimeError, match="within another"), change_message(message, EDITED):
            pass
        with pytest.raises(RuntimeError, match="within another"):
            take_numbers(change.room)


def test_after_an_error_nothing_is_stored_or_told_and_the_room_may_change_again(cast: Cast) -> None:
    with listening() as heard, pytest.raises(ZeroDivisionError), change_room(cast.room, changes.DESCRIBED) as change:
        change.room.topic = "Never"
        raise ZeroDivisionError
    room = Room.objects.get(pk=cast.room.pk)
    assert (room.topic, room.last_seq, heard) == ("", cast.room.last_seq, Heard())
    with change_room(room, changes.DESCRIBED) as change:
        change.room.topic = "Now"
    assert Room.objects.get(pk=room.pk).topic == "Now"


def test_only_the_columns_that_changed_are_written(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    with CaptureQueriesContext(connection) as queries, change_message(message, EDITED) as change:
        change.message.edited_at = change.message.created_at
    (update,) = [query["sql"] for query in queries if query["sql"].startswith('UPDATE "chat_message"')]
    assert '"edited_at" = ' in update
    assert '"body" = ' not in update


def test_two_verbs_of_one_name_are_refused() -> None:
    def create_room() -> None:
        """Not the one that is registered."""

    with pytest.raises(ValueError, match="two verbs called create_room"):
        verb(changes.CREATED)(create_room)

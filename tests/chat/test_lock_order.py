"""Each verb, run alone, locks rows in the order of apps/core/locks.py: seen in its queries to PostgreSQL."""

import re
import sys
from collections.abc import Callable
from inspect import unwrap
from types import CodeType
from typing import Any

import pytest
from django.db import connection
from django.db.models import CASCADE, ForeignKey, Model
from django.test.utils import isolate_apps

from apps.accounts import invitations as links
from apps.accounts.models import User
from apps.chat import services as chat
from apps.chat.models import Message
from apps.rooms import invitations, services
from apps.rooms.models import Room
from apps.rooms.verbs import VERBS as REGISTRY
from tests.conftest import Cast, make_user, say
from tests.verbs import REFUSALS, VERBS, WITHIN, NothingThereError, fill_up

PLACES = {"django_content_type": 0, "accounts_user": 1, "rooms_room": 2}
REST = 3
WRITES = re.compile(r'^(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')
LOCKS = re.compile(r'^SELECT .* FROM "(\w+)".* FOR (?:NO KEY )?UPDATE')
# `device` is allauth's; each of its statements is its own transaction.
VERBS_IN_TRANSACTIONS = sorted(set(VERBS) - {"device"})


def locked_by(act: Callable[[], object]) -> list[str]:
    """The tables in which `act` locks or writes rows, in the order of first use."""
    tables: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = WRITES.match(sql) or LOCKS.match(sql)
        if found and found[1] not in tables:
            tables.append(found[1])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        act()
    return tables


@pytest.mark.parametrize("verb", VERBS_IN_TRANSACTIONS)
def test_a_verb_locks_names_then_accounts_then_rooms_then_other_rows(db: None, verb: str) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock")
    tables: list[str] = []
    # Users and rooms are chosen at random, and some attempts are refused.
    for _ in range(12):
        fill_up()
        try:
            tables = locked_by(VERBS[verb]())
        except (NothingThereError, *REFUSALS):
            continue
        places = [PLACES.get(table, REST) for table in tables]
        assert places == sorted(places), tables
    assert tables


def functions_run_by(act: Callable[[], object]) -> set[CodeType]:
    """The code of all functions that it calls."""
    called: set[CodeType] = set()
    sys.setprofile(lambda frame, event, argument: called.add(frame.f_code))
    try:
        act()
    finally:
        sys.setprofile(None)
    return called


def test_each_verb_that_changes_a_room_is_among_them() -> None:
    assert set(REGISTRY) <= set(VERBS) | set(WITHIN)


@pytest.mark.parametrize("name", WITHIN)
def test_a_verb_that_is_said_to_be_done_within_another_is(db: None, name: str) -> None:
    code = unwrap(REGISTRY[name].function).__code__
    # Who and where is chosen by chance, and some are refused.
    for _ in range(12):
        fill_up()
        try:
            if code in functions_run_by(VERBS[WITHIN[name]]()):
                return
        except (NothingThereError, *REFUSALS):
            continue
    pytest.fail(f"{WITHIN[name]} never did {name}")


def in_another_room(cast: Cast, trace: str) -> Room:
    """A room that the member is not in, with one trace of them."""
    room, user = services.create_room(owner=cast.owner, name="Den", topic="", access="open"), cast.member
    if trace in {"author", "deleter"}:
        services.add_member(room=room, user=user)
        message = say(room, user if trace == "author" else cast.owner)
        if trace == "deleter":
            chat.delete_message(message=message, deleter=user)
        services.remove_member(room=room, user=user, reason="")
    elif trace == "invited":
        invitations.invite(room=room, user=user, inviter=cast.owner)
    elif trace == "inviter":
        user.role = User.Role.OWNER
        user.save()
        invitations.invite(room=room, user=cast.outsider, inviter=user)
    elif trace in {"banned", "banning"}:
        other = make_user("other")
        banned, by = (user, other) if trace == "banned" else (other, user)
        services.add_member(room=room, user=banned)
        services.remove_member(room=room, user=banned, reason="", by=by)
    elif trace == "link":
        links.make(made_by=user, room_id=room.pk, note="", days=1, most_uses=1)
    return room


@pytest.mark.parametrize("trace", ["author", "deleter", "invited", "inviter", "banned", "banning", "link"])
def test_closing_an_account_locks_every_room_with_traces_of_it(cast: Cast, trace: str) -> None:
    room = in_another_room(cast, trace)
    assert set(services.rooms_with_traces_of(cast.member)) - set(Room.objects.filter(is_lobby=True)) == {
        cast.room,
        room,
    }


def test_closing_an_account_leaves_other_rooms_unlocked(cast: Cast) -> None:
    services.create_room(owner=cast.owner, name="Den", topic="", access="open")
    assert set(services.rooms_with_traces_of(cast.member)) - set(Room.objects.filter(is_lobby=True)) == {cast.room}


@isolate_apps("apps.chat")
def test_what_refers_to_a_message_is_a_trace_in_its_room() -> None:
    class Added(Model):
        message = ForeignKey(Message, CASCADE)
        user = ForeignKey(User, CASCADE)

        class Meta:
            app_label = "chat"

        def __str__(self) -> str:
            return ""

    assert [services.paths_to_room(model) for model in (Message, Added, User)] == [["room"], ["message__room"], []]

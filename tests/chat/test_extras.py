"""What other apps show below messages, with one that only these tests register."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from apps.chat import extras, services
from apps.chat.changes import change_message, change_messages
from apps.chat.extras import Extra
from apps.chat.fragments import changed_message
from apps.chat.models import Message
from apps.chat.replay import changes_since
from apps.chat.shown import from_facts, shown
from apps.rooms.models import Room
from apps.rooms.verbs import Kind
from tests.chat.pages import live_view_of, page_of
from tests.chat.test_changes import listening, replayed
from tests.conftest import Cast, client_of, say
from tests.contract import Stage

pytestmark = pytest.mark.django_db

STARRED = Kind("starred")
TEMPLATE = '<p class="stars">{% load i18n %}{{ facts.stars }} × {% translate "Actions" %}</p>'


def stars(messages: Sequence[Message]) -> dict[int, Any]:
    """Stars kept in another table, one query for all messages."""
    names = {f"stars {message.pk}": message.pk for message in messages}
    counted: dict[int, int] = {}
    for name in Group.objects.filter(name__regex="^stars ").values_list("name", flat=True):
        key, _, _ = name.rpartition(" by ")
        if key in names:
            counted[names[key]] = counted.get(names[key], 0) + 1
    return {pk: {"stars": count} for pk, count in counted.items()}


def star(message: Message, name: str) -> None:
    """What such an app's verb would do."""
    with change_message(message, STARRED) as change:
        _, change.happened = Group.objects.get_or_create(name=f"stars {message.pk} by {name}")


@pytest.fixture(autouse=True)
def _stars(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stars.html").write_text(TEMPLATE)
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [*engine["DIRS"], tmp_path]}]
    monkeypatch.setattr(extras, "_extras", {})
    extras.register(Extra("stars", stars, "stars.html"))


@pytest.fixture
def stage(db: None) -> Stage:
    return Stage()


def shows(html: str, count: int) -> bool:
    return f'<p class="stars">{count} × Actions</p>' in html


def test_an_extra_is_shown_live_after_an_absence_and_on_a_fresh_page(stage: Stage) -> None:
    live, returned = (page_of(stage.viewer, stage.room.get_absolute_url()) for _ in range(2))
    with listening() as heard:
        star(stage.message, "ada")
    live.apply(heard.frames[0])
    returned.apply(replayed(stage))
    fresh = page_of(stage.viewer, stage.room.get_absolute_url())
    assert live == returned == fresh
    assert shows(fresh.messages[stage.message.seq], 1)


@pytest.mark.parametrize("patches", [True, False])
def test_a_live_view_shows_an_extra(stage: Stage, patches: bool) -> None:
    page = page_of(stage.viewer, stage.room.get_absolute_url())
    view = live_view_of(stage.viewer, stage.room.slug, page, patches=patches)
    with listening() as heard:
        star(stage.message, "ada")
    assert shows(view.apply(heard.frames[0]), 1)


def test_the_same_extra_again_is_no_change(stage: Stage) -> None:
    star(stage.message, "ada")
    with listening() as heard:
        star(stage.message, "ada")
    assert (heard.frames, heard.signals) == ([], [])


def test_an_extra_that_changed_since_the_message_was_loaded_is_shown_as_it_is(stage: Stage) -> None:
    with listening() as heard, change_message(stage.message, STARRED) as change:
        assert change.message.extras == {}
        Group.objects.create(name=f"stars {stage.message.pk} by ada")
        change.happened = True
    assert shows(heard.frames[0][0].html, 1)


def test_facts_tell_of_extras_and_show_the_same_elsewhere(stage: Stage) -> None:
    star(stage.message, "ada")
    message = Message.objects.get(pk=stage.message.pk)
    (part,) = changed_message(message)
    assert part.facts["extras"] == {"stars": {"stars": 1}}
    elsewhere = from_facts(part.facts)
    assert elsewhere == shown(message)
    assert render_to_string("chat/message.html", {"message": elsewhere}) == part.html
    del part.facts["extras"]
    assert from_facts(part.facts).extras == {}


def test_a_change_that_is_not_announced_is_no_new_version_to_speak_of_or_to_edit(stage: Stage) -> None:
    version = stage.message.version
    with listening() as heard:
        star(stage.message, "ada")
        star(stage.message, "bob")
    assert [frame[0].facts["version"] for frame in heard.frames] == [version, version]
    message = services.edit_message(message=stage.message, body="Edited", version=version)
    assert message.version == message.changed_seq > version
    assert Message.objects.get(pk=message.pk).version == message.version


def test_nor_are_many_that_change_at_once(stage: Stage) -> None:
    star(stage.message, "ada")
    versions = [message.version for message in (stage.message, say(stage.room, stage.owner))]
    room = Room.objects.get(pk=stage.room.pk)
    before = room.last_seq
    change_messages(room, room.messages.all(), STARRED, {}, actor=None)
    changed = room.messages.order_by("seq")
    assert [message.version for message in changed] == versions
    assert before < changed[0].changed_seq < changed[1].changed_seq == room.last_seq


def test_a_deleted_message_has_none(stage: Stage) -> None:
    star(stage.message, "ada")
    services.delete_message(message=stage.message, deleter=stage.owner)
    assert Message.objects.get(pk=stage.message.pk).extras == {}


def test_without_extras_a_message_is_as_it_would_be_without_their_slot(
    stage: Stage, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_extras", {})
    template = (settings.BASE_DIR / "templates/chat/message.html").read_text()
    (tmp_path / "without.html").write_text(template.replace("{% show_extras message %}", ""))
    message = Message.objects.get(pk=stage.message.pk)
    without, usual = (render_to_string(name, {"message": message}) for name in ("without.html", "chat/message.html"))
    assert usual == without


@pytest.mark.parametrize("query", ["", "?after=0", "?before=99", "?at=5"])
def test_a_page_of_many_messages_takes_one_query_for_an_extra(cast: Cast, query: str) -> None:
    counts = []
    for _ in range(2):
        for _ in range(10):
            star(say(cast.room, cast.member), "ada")
        with CaptureQueriesContext(connection) as queries:
            page = client_of(cast.member).get(f"/rooms/attic/{query}").content.decode()
        counts.append(len([one for one in queries if "auth_group" in one["sql"]]))
        assert shows(page, 1)
    assert counts == [1, 1]


def test_a_replay_takes_one_query_more_for_an_extra(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        star(say(cast.room, cast.member), "ada")
    with django_assert_num_queries(3):  # the room, its changed messages with their authors, their stars
        changes_since(cast.room.pk, cast.room.last_seq)


def test_a_new_message_takes_no_query_for_an_extra(cast: Cast) -> None:
    with CaptureQueriesContext(connection) as queries, listening() as heard:
        say(cast.room, cast.member)
    assert len(heard.frames) == 1
    assert not [one for one in queries if "auth_group" in one["sql"]]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_what_an_extra_offers_is_on_the_message_s_own_page(
    stage: Stage, tmp_path: Path, headers: dict[str, str]
) -> None:
    (tmp_path / "star.html").write_text('<form id="star">{% csrf_token %}{{ facts }} {{ message.pk }}</form>')
    offered = Extra("offered", stars, "stars.html", "star.html", lambda visit: visit.visit.member.username)
    extras.register(offered)
    address, client = stage.message.get_absolute_url(), client_of(stage.member)
    page = client.get(address, headers=headers).content.decode()
    assert f"member {stage.message.pk}</form>" in page
    assert 'name="csrfmiddlewaretoken"' in page.partition('<form id="star">')[2].partition("</form>")[0]
    services.delete_message(message=stage.message, deleter=stage.owner)
    assert 'id="star"' not in client.get(address, headers=headers).content.decode()


def test_two_extras_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two extras called stars"):
        extras.register(Extra("stars", stars, "stars.html"))

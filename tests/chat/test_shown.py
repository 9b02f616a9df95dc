"""What a message shows, as data."""

import json

import pytest
from django.utils import translation

from apps.chat import fragments, services
from apps.chat.models import Message
from apps.chat.shown import from_facts, shown
from apps.live.hub import parts_from
from apps.live.parts import Part, Swap, to_htmx
from tests.conftest import Cast, say

pytestmark = pytest.mark.django_db


def stored(pk: int) -> Message:
    return Message.objects.select_related("author", "room").get(pk=pk)


@pytest.fixture(params=["plain", "edited", "deleted", "tall", "of a deleted account", "look-alike"])
def message(request: pytest.FixtureRequest, cast: Cast) -> Message:
    message = say(cast.room, cast.member, "a\n" * 50 if request.param == "tall" else "Hello @owner <b>")
    match request.param:
        case "edited":
            services.edit_message(message=message, body="Bye @owner")
        case "deleted":
            services.delete_message(message=message, deleter=cast.owner)
        case "of a deleted account":
            Message.objects.update(author=None)
        case "look-alike":
            type(cast.member).objects.filter(pk=cast.member.pk).update(shows_username=True)
    return stored(message.pk)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_it_is_rendered_from_data_as_from_the_database(message: Message, language: str) -> None:
    with translation.override("de"):
        facts = json.loads(json.dumps(shown(message).facts))
    with translation.override(language):
        assert fragments.message(from_facts(facts)) == fragments.message(message)


def test_facts_of_a_newer_version_are_understood(message: Message) -> None:
    assert from_facts(shown(message).facts | {"reactions": 3}) == shown(message)


def test_parts_from_another_process_are_the_same(message: Message) -> None:
    parts = fragments.changed_message(message)
    assert parts_from(json.loads(json.dumps(parts))) == parts


def test_entries_of_one_list_go_together(cast: Cast) -> None:
    parts = (
        Part("messages", Swap.UPSERT, "<li>1</li>"),
        Part("messages", Swap.UPSERT, "<li>2</li>"),
        Part("title", Swap.TITLE, "Attic"),
        Part("messages", Swap.UPSERT, "<li>3</li>"),
    )
    opening = '<hx-upsert hx-target="#messages" key="data-seq" sort>'
    assert to_htmx(parts) == (
        f"{opening}<li>1</li><li>2</li></hx-upsert><title>Attic</title>{opening}<li>3</li></hx-upsert>"
    )

"""Unread counts in the list of rooms, live."""

import asyncio
import random
import re
from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.accounts.sign_ins import SignIn
from apps.chat import reading
from apps.chat import services as chat
from apps.core.database import NO_DATABASE
from apps.live.frames import Burst
from apps.live.hub import Hub
from apps.live.listeners import COME_BACK, Listener
from apps.live.parts import Part
from apps.live.people import topic_of
from apps.rooms import counts, services
from apps.rooms.counts import Counts
from apps.rooms.models import Membership, Room
from apps.rooms.navigation import rooms_of
from tests.conftest import Cast, make_user, say

pytestmark = pytest.mark.django_db(transaction=True)


class Page(Listener):
    """A page that notes what it is shown; it is its own line."""

    def __init__(self, user: User, language: str = "en") -> None:
        super().__init__(self, SignIn(user.pk, session_key=""), language)
        self.unread = 0
        self.parts: list[Part] = []
        self.code: int | None = None

    def write(self, burst: Burst) -> bool:
        self.parts += [part for frame in burst.frames for part in frame.parts]
        return True

    def close(self, code: int) -> None:
        self.code = code

    def taken(self) -> list[Part]:
        """What it was shown since this was last asked."""
        parts, self.parts = self.parts, []
        return parts

    def text(self) -> str:
        return " ".join(re.sub("<[^>]+>", " ", " ".join(part.html for part in self.taken())).split())


class Stage:
    """A hub with counts, and pages."""

    def __init__(self) -> None:
        async def begin(topic: str) -> None:
            pass

        self.hub = Hub(begin)
        self.counts = Counts(self.hub)

    async def open(self, user: User, room: Room | None = None, language: str = "en") -> Page:
        page = Page(user, language)
        if room:
            await self.hub.join(page, room.live_topic, since=room.last_seq, head=room.last_seq)
        await self.hub.join(page, topic_of(user.pk), since=0, head=0)
        await self.hear(people=[user.pk])
        return page

    async def hear(self, *rooms: Room, people: list[int] | None = None) -> None:
        """Hear of changes, and wait until the pages show them."""
        self.counts.hear([room.live_topic for room in rooms], people or [])
        assert self.counts.updating
        await self.counts.updating


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MIN_REST_SECONDS", 0.0)
    monkeypatch.setattr(counts, "REST_FACTOR", 0)


@pytest.fixture
def kitchen(cast: Cast) -> Room:
    room = services.create_room(owner=cast.owner, name="Kitchen", topic="", access=Room.Access.OPEN)
    services.add_member(room=room, user=cast.member)
    Membership.objects.filter(room__is_lobby=True).delete()
    return Room.objects.get(pk=room.pk)


do = sync_to_async


def test_a_new_page_is_shown_all_rooms_with_their_counts(cast: Cast, kitchen: Room) -> None:
    say(kitchen, cast.owner)

    async def scene() -> None:
        page = await Stage().open(cast.member, cast.room)
        [part] = page.taken()
        assert (part.target, part.swap) == ("rooms", "innerMorph")
        assert re.findall(r'id="room-([^"]+)"', part.html) == ["attic", "kitchen"]
        assert part.html.count("1 unread") == 1
        assert 'href="/rooms/attic/" aria-current="page"' in part.html

    asyncio.run(scene())


@pytest.fixture
def german_order() -> Iterator[None]:
    """A database that was created for German: it sorts "Ö" like "O"."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite sorts by code point everywhere")
    change = 'ALTER TABLE rooms_room ALTER COLUMN name_key TYPE varchar(320) COLLATE "{}"'
    with connection.cursor() as cursor:
        cursor.execute(change.format("de-x-icu"))
    yield
    with connection.cursor() as cursor:
        cursor.execute(change.format("default"))


def test_the_live_list_is_in_the_order_of_a_fresh_page(cast: Cast, kitchen: Room, german_order: None) -> None:
    for name in ("Ökonomie", "Zoo"):
        services.create_room(owner=cast.member, name=name, topic="", access=Room.Access.OPEN)

    async def scene() -> None:
        page = await Stage().open(cast.member, cast.room)
        assert page.text() == "Attic Kitchen Ökonomie Zoo"
        assert [room.name for room in await do(rooms_of)(cast.member)] == ["Attic", "Kitchen", "Ökonomie", "Zoo"]

    asyncio.run(scene())


def test_a_post_elsewhere_is_counted_on_the_pages_of_members_only(cast: Cast, kitchen: Room) -> None:
    async def scene() -> None:
        stage = Stage()
        pages = [await stage.open(user, cast.room) for user in (cast.member, cast.outsider)]
        for page in pages:
            page.taken()
        await do(say)(kitchen, cast.owner)
        await stage.hear(kitchen)
        [part] = pages[0].taken()
        assert (part.target, part.facts) == ("room-kitchen", {"kind": "unread", "room": kitchen.pk, "count": 1})
        assert pages[1].taken() == []

    asyncio.run(scene())


def test_a_page_says_itself_what_is_unread_in_its_own_room(cast: Cast, kitchen: Room) -> None:
    async def scene() -> None:
        stage = Stage()
        page = await stage.open(cast.member, kitchen)
        assert "unread" not in page.text()
        await do(say)(kitchen, cast.owner)
        await stage.hear(kitchen)
        assert page.taken() == []

    asyncio.run(scene())


def test_what_is_read_on_one_page_is_not_unread_on_another(cast: Cast, kitchen: Room) -> None:
    message = say(kitchen, cast.owner)

    async def scene() -> None:
        stage = Stage()
        page = await stage.open(cast.member, cast.room)
        assert "1 unread" in page.text()
        await do(reading.mark_read)(room=await Room.objects.aget(pk=kitchen.pk), user=cast.member, seq=message.seq)
        await stage.hear(people=[cast.member.pk])
        assert page.text() == "Kitchen"

    asyncio.run(scene())


def test_a_deleted_message_is_not_counted(cast: Cast, kitchen: Room) -> None:
    message = say(kitchen, cast.owner)
    say(kitchen, cast.owner)

    async def scene() -> None:
        stage = Stage()
        page = await stage.open(cast.member, cast.room)
        assert "2 unread" in page.text()
        await do(chat.delete_message)(message=message, deleter=cast.owner)
        await stage.hear(kitchen)
        assert page.text() == "Kitchen 1 unread"

    asyncio.run(scene())


def test_what_is_deleted_in_one_room_does_not_change_the_count_of_another(
    cast: Cast, kitchen: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_DELETIONS", 3)
    for room in (kitchen, *[cast.room] * 4):
        chat.delete_message(message=say(room, cast.owner), deleter=cast.owner)

    found = counts.read(set(), [cast.member.pk], {cast.member.pk}, {})
    unread = {pk: room.unread_after(found.places[cast.member.pk][pk]) for pk, room in found.rooms.items()}
    assert unread == {kitchen.pk: 0, cast.room.pk: 1}  # one more than there are


@pytest.mark.parametrize("change", ["joined", "removed", "renamed", "archived", "deleted"])
def test_the_list_follows(cast: Cast, kitchen: Room, change: str) -> None:
    garden = services.create_room(owner=cast.owner, name="Garden", topic="", access=Room.Access.OPEN)
    changes: dict[str, tuple[Callable[[], object], str]] = {
        "joined": (lambda: services.join_room(room=garden, user=cast.member), "Attic Garden Kitchen"),
        "removed": (lambda: services.remove_member(room=kitchen, user=cast.member, reason="", by=cast.owner), "Attic"),
        "renamed": (
            lambda: services.change_details(room=kitchen, name="A kitchen", topic="", access=Room.Access.OPEN),
            "A kitchen Attic",
        ),
        "archived": (lambda: services.set_archived(room=kitchen, archived=True), "Attic"),
        "deleted": (lambda: services.delete_room(room=Room.objects.get(pk=kitchen.pk)), "Attic"),
    }
    act, listed = changes[change]

    async def scene() -> None:
        stage = Stage()
        page = await stage.open(cast.member, cast.room)
        assert page.text() == "Attic Kitchen"
        await do(act)()
        people = [cast.member.pk] if change in {"joined", "removed"} else []
        await stage.hear(*([] if people else [kitchen]), people=people)
        assert page.text() == listed

    asyncio.run(scene())


def test_a_room_that_is_reopened_is_listed_again(cast: Cast, kitchen: Room) -> None:
    async def scene() -> None:
        stage = Stage()
        pages = list[Page]()
        for archived, listed in ((True, "Attic"), (False, "Attic Kitchen")):
            await do(services.set_archived)(room=kitchen, archived=archived)
            await stage.hear(kitchen)
            # One that was there before, and one of somebody who came while it was archived.
            pages.append(await stage.open([cast.member, cast.owner][len(pages)], cast.room))
            assert [page.text() for page in pages] == [listed] * len(pages)

    asyncio.run(scene())


def test_who_was_removed_hears_nothing_more_while_others_have_their_turn(
    cast: Cast, kitchen: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_PEOPLE", 1)

    async def scene() -> None:
        stage = Stage()
        await stage.open(cast.owner, cast.room)
        page = await stage.open(cast.member, cast.room)
        page.taken()
        await do(services.remove_member)(room=kitchen, user=cast.member, reason="", by=cast.owner)
        await do(say)(kitchen, cast.owner)
        await stage.hear(kitchen, people=[cast.owner.pk, cast.member.pk])
        assert [part.target for part in page.parts] == ["rooms"]
        assert page.text() == "Attic"

    asyncio.run(scene())


def test_those_who_change_all_the_time_do_not_keep_others_waiting(
    cast: Cast, kitchen: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_PEOPLE", 1)

    async def scene() -> None:
        stage = Stage()
        await stage.open(cast.owner, cast.room)
        page = await stage.open(cast.member, cast.room)
        page.taken()
        await do(services.remove_member)(room=kitchen, user=cast.member, reason="", by=cast.owner)
        for people in ([cast.member.pk, cast.owner.pk], [cast.owner.pk]):
            stage.counts.changed_people |= dict.fromkeys(people)
            await stage.counts.update()
        assert page.text() == "Attic"

    asyncio.run(scene())


def test_a_change_that_is_heard_of_while_places_are_read_is_not_lost(
    cast: Cast, kitchen: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, removed = counts.read, list[bool]()

    async def scene() -> None:
        stage = Stage()
        page = await stage.open(cast.member, cast.room)
        page.taken()
        loop = asyncio.get_running_loop()

        def read_and_remove(*args: object) -> counts.Found:
            found = read(*args)  # type: ignore[arg-type]  # as they came
            if not removed:
                removed.append(True)
                services.remove_member(room=kitchen, user=cast.member, reason="", by=cast.owner)
                say(kitchen, cast.owner)
                loop.call_soon_threadsafe(stage.counts.hear, [kitchen.live_topic], [cast.member.pk])
            return found

        monkeypatch.setattr(counts, "read", read_and_remove)
        await stage.hear(people=[cast.member.pk])
        assert page.text() == "Attic"

    asyncio.run(scene())


def test_each_page_has_its_own_language(cast: Cast, kitchen: Room) -> None:
    say(kitchen, cast.owner)

    async def scene() -> None:
        stage = Stage()
        pages = [await stage.open(cast.member, cast.room, language) for language in ("en", "de")]
        assert ["1 unread" in pages[0].text(), "1 ungelesen" in pages[1].text()] == [True, True]

    asyncio.run(scene())


@pytest.mark.parametrize("people", [1, 20])
def test_an_update_takes_a_fixed_number_of_queries(
    cast: Cast, kitchen: Room, people: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    users = [make_user(f"reader{number}") for number in range(people)]
    for user in users:
        services.join_room(room=kitchen, user=user)
    with django_assert_num_queries(3):  # places; rooms; deleted messages
        found = counts.read({kitchen.pk}, [user.pk for user in users], set(), {})
    assert len(found.places) == people


def test_an_update_that_concerns_no_one_makes_no_queries(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        counts.read(set(), [], set(), {})


def test_a_page_that_reads_nothing_is_sent_back(cast: Cast) -> None:
    class Full(Page):
        def write(self, burst: Burst) -> bool:
            return False

    async def scene() -> None:
        stage = Stage()
        page = Full(cast.member)
        await stage.hub.join(page, topic_of(cast.member.pk), since=0, head=0)
        await stage.hear(people=[cast.member.pk])
        assert page.code == COME_BACK
        assert stage.hub.topics == {}

    asyncio.run(scene())


def test_counts_are_shown_when_the_database_is_back(cast: Cast, kitchen: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counts.read

    async def scene() -> None:
        stage = Stage()
        page = await stage.open(cast.member, cast.room)
        page.taken()
        failures = [NO_DATABASE[0]("away"), OSError("odd")]

        def fail(*args: object) -> counts.Found:
            if failures:
                raise failures.pop()
            return read(*args)  # type: ignore[arg-type]  # as they came

        monkeypatch.setattr(counts, "read", fail)
        await do(say)(kitchen, cast.owner)
        await stage.hear(kitchen)
        assert page.text() == "Kitchen 1 unread"

    asyncio.run(scene())


def test_pages_that_closed_are_forgotten(cast: Cast, kitchen: Room) -> None:
    async def scene() -> None:
        stage = Stage()
        page = await stage.open(cast.member, cast.room)
        stage.hub.leave(page)
        await stage.hear(kitchen)
        assert (stage.counts.places, stage.counts.listed, stage.counts.to_list) == ({}, set(), set())

    asyncio.run(scene())


def test_live_counts_equal_those_of_a_fresh_page_after_any_history(cast: Cast, kitchen: Room) -> None:
    chance = random.Random(5)
    rooms = [cast.room, kitchen]
    said = []

    def act() -> None:
        room = Room.objects.get(pk=chance.choice(rooms).pk)
        match chance.choice(["say", "say", "say", "delete", "read", "leave", "join"]):
            case "say":
                said.append(say(room, cast.owner))
            case "delete" if said:
                chat.delete_message(message=said.pop(chance.randrange(len(said))), deleter=cast.owner)
            case "read":
                reading.mark_read(room=room, user=cast.member, seq=chance.randint(0, room.last_seq))
            case "leave":
                Membership.objects.filter(room=kitchen, user=cast.member).delete()
            case "join":
                services.add_member(room=kitchen, user=cast.member)

    def fresh() -> dict[str, int]:
        return {room.slug: getattr(room, "unread_count") for room in rooms_of(cast.member)}  # noqa: B009

    async def scene() -> None:
        stage = Stage()
        page = await stage.open(cast.member)
        shown: dict[str, int] = {}
        for _ in range(60):
            await do(act)()
            await stage.hear(*rooms, people=[cast.member.pk])
            for part in page.taken():
                if part.target == "rooms":
                    shown = {}
                for slug, entry in re.findall(r'<li id="room-([^"]+)">(.*?)</li>', part.html):
                    shown[slug] = int(found[1]) if (found := re.search(r"(\d+) unread", entry)) else 0
            assert shown == await do(fresh)()

    asyncio.run(scene())

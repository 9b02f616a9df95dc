"""The addresses of rooms."""

import re
import unicodedata
import uuid
from urllib.parse import unquote

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.rooms import services
from apps.rooms.forms import DeleteRoomForm
from apps.rooms.models import FormerSlug, Room, name_key, unused_slug
from tests.conftest import Cast, client_of, make_user
from tests.letters import cases

pytestmark = pytest.mark.django_db


def make_rooms(number: int) -> None:
    """So many rooms whose names differ in what no address shows."""
    for _ in range(number):
        slug = unused_slug("General")
        Room.objects.create(name=f"General {'!' * Room.objects.count()}", slug=slug)


def test_the_first_rooms_of_one_name_are_numbered(db: None) -> None:
    make_rooms(3)
    assert set(Room.objects.filter(slug__startswith="general").values_list("slug", flat=True)) == {
        "general",
        "general-2",
        "general-3",
    }


@pytest.mark.parametrize("number", [0, 1, 40])
def test_an_address_takes_one_query_however_many_rooms_have_the_name(
    db: None, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_rooms(number)
    with django_assert_num_queries(1):
        slug = unused_slug("General!!")
    assert not Room.objects.filter(slug=slug).exists()
    assert re.fullmatch(r"general(-\w+)?", slug)
    assert len(slug) <= 80


def test_the_longest_name_has_room_for_letters_by_chance(db: None) -> None:
    for number in range(25):
        Room.objects.create(name=f"{number}", slug=unused_slug("x" * 80))
    assert max(len(slug) for slug in Room.objects.values_list("slug", flat=True)) == 79


def test_an_address_that_another_room_had_is_not_given_again(cast: Cast) -> None:
    services.change_details(room=cast.room, name="Cellar", topic="", access=cast.room.access)
    assert unused_slug("Attic") == "attic-2"
    assert unused_slug("Cellar") == "cellar-2"


def test_a_room_gets_its_own_former_address_back(cast: Cast) -> None:
    services.change_details(room=cast.room, name="Cellar", topic="", access=cast.room.access)
    room = services.change_details(room=cast.room, name="Attic", topic="", access=cast.room.access)
    assert room.slug == "attic"
    assert list(FormerSlug.objects.values_list("slug", flat=True)) == ["cellar"]


def test_no_room_is_where_new_ones_are_made(db: None) -> None:
    assert unused_slug("New") == "new-2"


@pytest.mark.parametrize(("name", "address"), cases("rooms", "name", "address"))
def test_a_room_has_a_name_that_can_be_seen_and_an_address_that_can_be_read(name: str, address: str) -> None:
    client = client_of(make_user("ada"))
    answer = client.post("/rooms/new/", {"name": name, "topic": "", "access": "open"})
    if address:
        slug = unicodedata.normalize("NFKC", address)
        assert unquote(answer.headers["Location"]) == f"/rooms/{slug}/"
        assert client.get(answer.headers["Location"]).status_code == 200
    else:
        assert answer.status_code == 422
        assert not Room.objects.filter(is_lobby=False).exists()


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Größe", "GRÖßE"),
        ("Größe", "gro\u0308ße"),
        ("Café", "CAFE\u0301"),
        ("ภาษาไทย", "ภาษาไทย\u200b"),
        ("Общий", "ОБЩИЙ"),
        ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
        ("가가", "가\u1100\u1161"),
    ],
)
def test_an_address_in_another_case_or_normal_form_leads_to_the_room(db: None, name: str, typed: str) -> None:
    owner = make_user("ada")
    room = services.create_room(owner=owner, name=name, topic="", access=Room.Access.OPEN)
    client = client_of(owner)
    answer = client.get(f"/rooms/{typed}/?at=1")
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{room.get_absolute_url()}?at=1")
    sent = client.post(f"/rooms/{typed}/messages/", {"body": "Hello", "client_id": str(uuid.uuid4())})
    assert sent.status_code == 303


def test_a_former_address_in_another_case_leads_to_the_room(cast: Cast) -> None:
    room = services.change_details(room=cast.room, name="Cellar", topic="", access=cast.room.access)
    assert client_of(cast.member).get("/rooms/ATTIC/").headers["Location"] == room.get_absolute_url()


def test_an_address_in_another_case_tells_nobody_more(cast: Cast) -> None:
    assert client_of(cast.outsider).get("/rooms/ATTIC/").status_code == 404


def test_who_is_invited_joins_by_an_address_in_another_case(cast: Cast) -> None:
    client_of(cast.owner).post("/rooms/attic/members/", {"username": "outsider"})
    assert client_of(cast.outsider).post("/rooms/ATTIC/join/").status_code == 302
    assert cast.room.memberships.filter(user=cast.outsider).exists()


def test_the_address_of_a_room_that_there_is_takes_as_many_queries_as_before(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    from apps.rooms.access import room_for

    with django_assert_num_queries(1):
        room_for(cast.member, "attic")


def test_rooms_that_older_rules_let_in_go_on_working(cast: Cast) -> None:
    """Two of one key, and one whose name is nothing that can be seen."""
    services.create_room(owner=cast.owner, name="General", topic="", access=Room.Access.OPEN)
    for name, slug in (("Gene\u200bral", "gene-ral"), ("\u200b", "room")):
        old = Room.objects.create(name=name, name_key=name.lower(), slug=slug)
        old = services.set_archived(room=old, archived=True)
        assert old.name_key == name.lower()
        assert DeleteRoomForm({"name": name}, room=old).is_valid()


def test_a_renamed_room_has_the_key_of_its_new_name(cast: Cast) -> None:
    room = services.change_details(room=cast.room, name="Ｃｅｌｌａｒ", topic="", access=cast.room.access)
    assert room.name_key == name_key("cellar")

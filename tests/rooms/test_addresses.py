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
    """Make this many rooms whose names differ only in characters that addresses leave out."""
    for _ in range(number):
        slug = unused_slug("General")
        Room.objects.create(name=f"General {'!' * Room.objects.count()}", slug=slug)


def test_the_first_rooms_with_one_name_are_numbered(db: None) -> None:
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


def test_the_longest_name_leaves_room_for_a_random_suffix(db: None) -> None:
    for number in range(25):
        Room.objects.create(name=f"{number}", slug=unused_slug("x" * 80))
    assert max(len(slug) for slug in Room.objects.values_list("slug", flat=True)) == 79


def test_another_rooms_former_address_is_not_reused(cast: Cast) -> None:
    services.change_details(room=cast.room, name="Cellar", topic="", access=cast.room.access)
    assert unused_slug("Attic") == "attic-2"
    assert unused_slug("Cellar") == "cellar-2"


def test_a_room_gets_its_own_former_address_back(cast: Cast) -> None:
    services.change_details(room=cast.room, name="Cellar", topic="", access=cast.room.access)
    room = services.change_details(room=cast.room, name="Attic", topic="", access=cast.room.access)
    assert room.slug == "attic"
    assert list(FormerSlug.objects.values_list("slug", flat=True)) == ["cellar"]


def test_no_room_takes_the_address_of_the_new_room_page(db: None) -> None:
    assert unused_slug("New") == "new-2"


@pytest.mark.parametrize(("name", "address"), cases("rooms", "name", "address"))
def test_a_room_has_a_visible_name_and_a_readable_address(name: str, address: str) -> None:
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


def test_an_address_in_another_case_reveals_nothing_to_outsiders(cast: Cast) -> None:
    assert client_of(cast.outsider).get("/rooms/ATTIC/").status_code == 404


def test_an_invited_user_can_join_by_an_address_in_another_case(cast: Cast) -> None:
    client_of(cast.owner).post("/rooms/attic/members/", {"username": "outsider"})
    assert client_of(cast.outsider).post("/rooms/ATTIC/join/").status_code == 302
    assert cast.room.memberships.filter(user=cast.outsider).exists()


def test_finding_a_room_by_its_exact_address_takes_one_query(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    from apps.rooms.access import room_for

    with django_assert_num_queries(1):
        room_for(cast.member, "attic")


def test_rooms_allowed_by_older_rules_keep_working(cast: Cast) -> None:
    """Two rooms share a key, and one has an invisible name."""
    services.create_room(owner=cast.owner, name="General", topic="", access=Room.Access.OPEN)
    for name, slug in (("Gene\u200bral", "gene-ral"), ("\u200b", "room")):
        old = Room.objects.create(name=name, name_key=name.lower(), slug=slug)
        old = services.set_archived(room=old, archived=True)
        assert old.name_key == name.lower()
        assert DeleteRoomForm({"name": name}, room=old).is_valid()


def test_a_renamed_room_has_the_key_of_its_new_name(cast: Cast) -> None:
    room = services.change_details(room=cast.room, name="Ｃｅｌｌａｒ", topic="", access=cast.room.access)
    assert room.name_key == name_key("cellar")

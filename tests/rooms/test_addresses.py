"""The addresses of rooms."""

import re

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.rooms import services
from apps.rooms.models import FormerSlug, Room, unused_slug
from tests.conftest import Cast

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

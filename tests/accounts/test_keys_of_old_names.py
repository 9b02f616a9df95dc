"""The upgrade that gives names their keys, on a site where people live under names of older rules."""

import hashlib
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from apps.accounts import services
from apps.accounts.backends import find
from apps.accounts.models import FormerUsername, User
from apps.accounts.names import look_alike_digest, look_alike_digests
from apps.rooms.models import Room
from tests.conftest import Cast, client_of, make_user

keys = import_module("apps.accounts.migrations.0007_names_as_keys")
look_alikes = import_module("apps.accounts.migrations.0008_look_alikes_from_right_to_left")
room_keys = import_module("apps.rooms.migrations.0006_keys_of_what_is_seen")

pytestmark = pytest.mark.django_db


def old_user(name: str, **more: object) -> User:
    """An account as it was before the upgrade; keys must differ for the database's sake, and mean nothing."""
    user = make_user(f"new{User.objects.count()}", **more)
    as_before = hashlib.sha256(name.casefold().encode()).hexdigest()
    User.objects.filter(pk=user.pk).update(username=name, name_digest=as_before, display_key="", display_digest="")
    user.refresh_from_db()
    return user


def upgrade() -> None:
    """What the migration does to rows."""
    keys.give_keys(apps, SimpleNamespace(connection=connection))


def test_everybody_is_found_by_their_name_afterwards() -> None:
    people = [old_user(name) for name in ("ada", "Überfrau", "Ольга", "田中")]
    upgrade()
    assert [find(name) for name in ("ADA", "u\u0308berfrau", "ОЛЬГА", "田中")] == people


@pytest.mark.parametrize("plain_comes_first", [True, False])
def test_of_two_with_one_key_each_is_found_by_their_own_spelling(plain_comes_first: bool) -> None:
    spellings = ["ann2", "ann2\ufe0f"]
    people = {name: old_user(name) for name in (spellings if plain_comes_first else reversed(spellings))}
    upgrade()
    assert {name: find(name) for name in spellings} == people
    assert find("ANN2") == people["ann2"]


def test_nobody_new_gets_a_name_that_looks_like_an_old_one() -> None:
    old_user("ann\ufe0f")
    upgrade()
    assert User.objects.get().name_digest == look_alike_digest("ann")


def test_of_two_old_names_that_look_alike_each_keeps_its_own() -> None:
    make_user("ann2")
    old_user("ann2\ufe0f")
    old_user("ann2\u1160")
    upgrade()
    assert User.objects.values("name_digest").distinct().count() == 3


def test_those_of_one_display_name_are_told_apart() -> None:
    first, second = old_user("a", display_name="Ann Lee"), old_user("b", display_name="A\u200bnn Lee")
    other, shown_as_other = old_user("bobby"), old_user("c", display_name="Bobby")
    alone = old_user("d", display_name="Dora")
    upgrade()
    shown = set(User.objects.filter(shows_username=True))
    assert shown == {first, second, shown_as_other}
    assert not {other, alone} & shown


@pytest.mark.parametrize("people", [1, 400])
def test_many_take_no_more_queries_than_one(people: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    User.objects.bulk_create(
        User(username=f"user{number}", name_key=f"old {number}", name_digest=f"{number}") for number in range(people)
    )
    # The digests, the names, the rows; and all rows are written by one statement.
    with django_assert_num_queries(4):
        upgrade()


def test_nobody_new_gets_a_name_that_looks_like_an_old_one_from_right_to_left() -> None:
    old_user("علی")
    look_alikes.give_digests(apps, SimpleNamespace(connection=connection))
    with pytest.raises(ValidationError, match="looks like it"):
        services.clean_username("علي")


def test_of_two_old_names_from_right_to_left_that_look_alike_each_keeps_its_own() -> None:
    people = [old_user(name) for name in ("علی", "علي", "ada")]
    before = {user.pk: user.name_digest for user in people}
    look_alikes.give_digests(apps, SimpleNamespace(connection=connection))
    after = dict(User.objects.values_list("pk", "name_digest"))
    assert after == before | {people[0].pk: look_alike_digest("علی")}


def test_those_of_one_display_name_from_right_to_left_are_told_apart() -> None:
    first, second = old_user("a", display_name="علی"), old_user("b", display_name="علي")
    alone = old_user("c", display_name="یوسف")
    look_alikes.give_digests(apps, SimpleNamespace(connection=connection))
    assert set(User.objects.filter(shows_username=True)) == {first, second}
    alone.refresh_from_db()
    assert alone.display_digest == look_alike_digest("يوسف")


def test_a_former_name_from_right_to_left_stays_its_bearers(cast: Cast) -> None:
    (older,) = look_alike_digests("علي") - {look_alike_digest("علي")}
    FormerUsername.objects.create(digest=older, user=cast.member)
    assert client_of(cast.owner).get("/people/علي/").headers["Location"] == cast.member.get_absolute_url()
    with pytest.raises(ValidationError, match="looks like it"):
        services.clean_username("علي")


def test_rooms_of_one_key_keep_the_one_they_have() -> None:
    first = Room.objects.create(name="General", slug="general")
    hidden = Room.objects.create(name="x", slug="x")
    blank = Room.objects.create(name="y", slug="y")
    alone = Room.objects.create(name="z", slug="z")
    Room.objects.filter(pk=hidden.pk).update(name="Gene\u200bral", name_key="gene\u200bral")
    Room.objects.filter(pk=blank.pk).update(name="\u200b", name_key="\u200b")
    Room.objects.filter(pk=alone.pk).update(name="At\u200btic", name_key="at\u200btic")
    room_keys.give_keys(apps, None)
    found = dict(Room.objects.exclude(is_lobby=True).values_list("pk", "name_key"))
    assert found == {first.pk: "general", hidden.pk: "gene\u200bral", blank.pk: "\u200b", alone.pk: "attic"}

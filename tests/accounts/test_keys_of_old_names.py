"""The migrations that give names their keys, on a site with names from older rules."""

import hashlib
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts import services
from apps.accounts.backends import find
from apps.accounts.jobs import give_missing_keys
from apps.accounts.models import FormerUsername, User
from apps.accounts.names import look_alike_digest, look_alike_digests
from apps.rooms.models import Room
from tests.conftest import Cast, client_of, make_user

keys = import_module("apps.accounts.migrations.0007_names_as_keys")
look_alikes = import_module("apps.accounts.migrations.0008_look_alikes_from_right_to_left")
room_keys = import_module("apps.rooms.migrations.0006_keys_of_what_is_seen")

pytestmark = pytest.mark.django_db


def old_user(name: str, **more: object) -> User:
    """An account as it was before the upgrade; its keys are only unique, as the database requires."""
    user = make_user(f"new{User.objects.count()}", **more)
    as_before = hashlib.sha256(name.casefold().encode()).hexdigest()
    User.objects.filter(pk=user.pk).update(username=name, name_digest=as_before, display_key="", display_digest="")
    user.refresh_from_db()
    return user


def upgrade() -> None:
    """Run the migration's code on the rows."""
    keys.give_keys(apps, SimpleNamespace(connection=connection))


def test_everyone_can_be_found_by_their_name_afterwards() -> None:
    people = [old_user(name) for name in ("ada", "Überfrau", "Ольга", "田中")]
    upgrade()
    assert [find(name) for name in ("ADA", "u\u0308berfrau", "ОЛЬГА", "田中")] == people


@pytest.mark.parametrize("plain_comes_first", [True, False])
def test_two_users_with_one_key_are_each_found_by_their_own_spelling(plain_comes_first: bool) -> None:
    spellings = ["ann2", "ann2\ufe0f"]
    people = {name: old_user(name) for name in (spellings if plain_comes_first else reversed(spellings))}
    upgrade()
    assert {name: find(name) for name in spellings} == people
    assert find("ANN2") == people["ann2"]


def test_new_names_cannot_look_like_old_ones() -> None:
    old_user("ann\ufe0f")
    upgrade()
    assert User.objects.get().name_digest == look_alike_digest("ann")


def test_two_old_names_that_look_alike_both_stay() -> None:
    make_user("ann2")
    old_user("ann2\ufe0f")
    old_user("ann2\u1160")
    upgrade()
    assert User.objects.values("name_digest").distinct().count() == 3


def test_users_with_one_display_name_are_shown_with_usernames() -> None:
    first, second = old_user("a", display_name="Ann Lee"), old_user("b", display_name="A\u200bnn Lee")
    other, shown_as_other = old_user("bobby"), old_user("c", display_name="Bobby")
    alone = old_user("d", display_name="Dora")
    upgrade()
    shown = set(User.objects.filter(shows_username=True))
    assert shown == {first, second, shown_as_other}
    assert not {other, alone} & shown


@pytest.mark.parametrize("people", [1, 400])
def test_many_users_take_no_more_queries_than_one(
    people: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    User.objects.bulk_create(
        User(username=f"user{number}", name_key=f"old {number}", name_digest=f"{number}") for number in range(people)
    )
    # The digests, the names, the rows; and one statement that writes all rows.
    with django_assert_num_queries(4):
        upgrade()


def test_new_rtl_names_cannot_look_like_old_ones() -> None:
    old_user("علی")
    look_alikes.give_digests(apps, SimpleNamespace(connection=connection))
    with pytest.raises(ValidationError, match="looks like it"):
        services.clean_username("علي")


def test_two_old_rtl_names_that_look_alike_both_stay() -> None:
    people = [old_user(name) for name in ("علی", "علي", "ada")]
    before = {user.pk: user.name_digest for user in people}
    look_alikes.give_digests(apps, SimpleNamespace(connection=connection))
    after = dict(User.objects.values_list("pk", "name_digest"))
    assert after == before | {people[0].pk: look_alike_digest("علی")}


def test_users_with_one_rtl_display_name_are_shown_with_usernames() -> None:
    first, second = old_user("a", display_name="علی"), old_user("b", display_name="علي")
    alone = old_user("c", display_name="یوسف")
    look_alikes.give_digests(apps, SimpleNamespace(connection=connection))
    assert set(User.objects.filter(shows_username=True)) == {first, second}
    alone.refresh_from_db()
    assert alone.display_digest == look_alike_digest("يوسف")


def test_a_former_rtl_name_stays_reserved_for_its_user(cast: Cast) -> None:
    (older,) = look_alike_digests("علي") - {look_alike_digest("علي")}
    FormerUsername.objects.create(digest=older, user=cast.member)
    assert client_of(cast.owner).get("/people/علي/").headers["Location"] == cast.member.get_absolute_url()
    with pytest.raises(ValidationError, match="looks like it"):
        services.clean_username("علي")


def test_rooms_with_one_key_keep_the_key_they_have() -> None:
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


def insert_as_before(username: str) -> None:
    """Insert a row as processes of the version before do while the site is upgraded: without the new columns."""
    new = {"name_key", "display_key", "display_digest", "shows_username", "is_demonstration"}
    row = {field.column: field.get_default() for field in User._meta.concrete_fields}
    names = [name for name in row if name not in {"id", *new}]
    row |= {"username": username, "name_digest": username, "date_joined": timezone.now(), "display_name": "Ann Lee"}
    listed, values = ", ".join(f'"{name}"' for name in names), ", ".join(["%s"] * len(names))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO accounts_user ({listed}) VALUES ({values})", [row[name] for name in names])


def test_accounts_from_an_older_process_get_their_keys_from_a_job() -> None:
    make_user("ann2")
    for name in ("Dora", "Ann2"):
        insert_as_before(name)
    give_missing_keys.func()
    dora, ann = User.objects.get(username="Dora"), User.objects.get(username="Ann2")
    assert find("DORA") == dora
    assert ann.name_key == f"ann2 {ann.pk}"
    assert set(User.objects.filter(display_digest=look_alike_digest("Ann Lee"), shows_username=True)) == {dora, ann}

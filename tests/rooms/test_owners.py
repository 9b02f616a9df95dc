"""Rooms always have an owner: when accounts close, and after upgrading a site from before that rule."""

from importlib import import_module

import pytest
from django.apps import apps
from pytest_django import DjangoAssertNumQueries

from apps.accounts import closing
from apps.accounts.models import User
from apps.rooms import services
from apps.rooms.models import Membership, Room, name_key
from tests.conftest import Cast, client_of, make_user, say

owners = import_module("apps.rooms.migrations.0004_owners")


def owners_of(room: Room) -> list[str]:
    found = room.memberships.filter(role=Membership.Role.OWNER).order_by("pk")
    return list(found.values_list("user__username", flat=True))


def ownerless(name: str, access: str = Room.Access.OPEN) -> Room:
    return Room.objects.create(name=name, name_key=name_key(name), slug=name_key(name), access=access)


def migrate() -> None:
    owners.give_owners(apps, None)
    owners.free_names_that_nobody_can_find(apps, None)


def test_a_closed_accounts_room_passes_to_an_active_member(cast: Cast) -> None:
    type(cast.moderator).objects.filter(pk=cast.moderator.pk).update(is_active=False)
    closing.close_account(user=cast.owner, delete_messages=False, heir=None)
    assert owners_of(cast.room) == ["member"]


def test_a_private_lobby_stays_when_its_last_member_closes_their_account(lobby: Room) -> None:
    Room.objects.update(access=Room.Access.PRIVATE)
    closing.close_account(user=make_user("only"), delete_messages=False, heir=None)
    assert Room.objects.get().is_lobby


def test_upgrading_makes_the_first_moderator_or_else_member_the_owner(cast: Cast, lobby: Room) -> None:
    cast.room.memberships.filter(user=cast.owner).delete()
    plain, off, owned = ownerless("plain"), ownerless("off"), cast.room
    for user in (cast.outsider, cast.member):
        Membership.objects.create(room=plain, user=user)
    for user in (make_user("gone", is_active=False), cast.outsider):
        Membership.objects.create(room=off, user=user)
    migrate()
    assert (owners_of(owned), owners_of(plain), owners_of(off)) == (["moderator"], ["outsider"], ["outsider"])
    assert owners_of(lobby) == []


def test_upgrading_leaves_a_room_with_an_owner_unchanged(cast: Cast) -> None:
    before = list(Room.objects.values().order_by("pk"))
    migrate()
    assert owners_of(cast.room) == ["owner"]
    assert list(Room.objects.values().order_by("pk")) == before


def test_upgrading_tells_open_pages_of_the_new_owner(cast: Cast) -> None:
    cast.room.memberships.filter(user=cast.owner).delete()
    migrate()
    room = Room.objects.get(pk=cast.room.pk)
    assert room.last_seq == room.members_seq == cast.room.last_seq + 1


def test_upgrading_deletes_only_private_rooms_without_members_or_messages(cast: Cast) -> None:
    cast.room.memberships.all().delete()
    ownerless("open and empty")
    migrate()
    assert set(Room.objects.values_list("name", flat=True)) == {"Lobby", "open and empty"}


def test_upgrading_frees_an_abandoned_private_rooms_name_and_keeps_its_messages(cast: Cast) -> None:
    say(cast.room, cast.owner)
    cast.room.memberships.all().delete()
    migrate()
    assert cast.room.messages.count() == 1
    services.create_room(owner=cast.member, name=cast.room.name, topic="", access="private")


def test_no_guessable_name_stops_the_upgrade(cast: Cast) -> None:
    say(cast.room, cast.owner)
    cast.room.memberships.all().delete()
    services.create_room(owner=cast.member, name=f"{cast.room.name} ({cast.room.pk})", topic="", access="open")
    migrate()
    assert Room.objects.filter(name=cast.room.name).count() == 0


@pytest.mark.parametrize("rooms", [1, 400])
def test_upgrading_gives_many_rooms_owners_in_a_fixed_number_of_queries(
    cast: Cast, rooms: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    made = Room.objects.bulk_create(
        Room(name=f"Old {number}", name_key=f"old {number}", slug=f"old-{number}") for number in range(rooms)
    )
    Membership.objects.bulk_create(Membership(room=room, user=cast.member) for room in made)
    # The keys, the heirs, their memberships, the rooms' numbers; and a check that no keys are left.
    with django_assert_num_queries(5):
        owners.give_owners(apps, None)
    assert Membership.objects.filter(room__in=made, role=Membership.Role.OWNER).count() == rooms


def test_a_private_room_with_one_member_is_deleted_with_the_account(db: None) -> None:
    only = make_user("only")
    services.create_room(owner=only, name="Den", topic="", access=Room.Access.PRIVATE)
    closing.close_account(user=only, delete_messages=False, heir=None)
    assert not Room.objects.filter(name="Den").exists()


def test_an_account_can_be_closed_when_all_other_members_are_switched_off(cast: Cast) -> None:
    User.objects.filter(username__in=["moderator", "member"]).update(is_active=False)
    closing.close_account(user=cast.owner, delete_messages=False, heir=None)
    assert cast.room.memberships.get(role=Membership.Role.OWNER).user == cast.moderator


def test_a_room_cannot_be_handed_over_to_a_switched_off_account(cast: Cast) -> None:
    User.objects.filter(pk=cast.member.pk).update(is_active=False)
    answer = client_of(cast.owner).post("/rooms/attic/members/member/hand-over/", follow=True)
    assert "member cannot sign in at present" in answer.content.decode()
    assert cast.room.memberships.get(user=cast.owner).role == Membership.Role.OWNER

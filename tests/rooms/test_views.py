"""Pages about rooms and members."""

import re

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.live.parts import to_htmx
from apps.rooms import fragments, services
from apps.rooms.models import Membership, Room
from tests.conftest import Cast, client_of, make_user

DETAILS = {"name": "Cellar", "topic": "Below", "access": "open"}


def roles(room: Room) -> dict[str, str]:
    return {one.user.username: one.get_role_display() for one in room.memberships.select_related("user")}


# Home and the list


def test_home_shows_strangers_what_the_site_is(cast: Cast) -> None:
    cast.open(Room.Access.PUBLIC)
    page = client_of(None).get("/").content.decode()
    assert "/accounts/signup/" in page
    assert "Attic" in page


def test_home_lists_the_users_own_rooms(cast: Cast) -> None:
    assert 'id="room-attic"' in client_of(cast.member).get("/").content.decode()
    assert 'id="room-attic"' not in client_of(cast.outsider).get("/").content.decode()


def test_the_list_shows_the_rooms_that_the_viewer_may_see(cast: Cast) -> None:
    def sees(access: str) -> dict[str, int]:
        cast.open(access)
        return cast.status_for_each(lambda client: client.get("/rooms/").content.decode().count(">Attic</a>"))

    everyone = dict.fromkeys(("anonymous", "outsider", "member", "moderator", "owner"), 1)
    assert sees(Room.Access.PRIVATE) == everyone | {"anonymous": 0, "outsider": 0}
    assert sees(Room.Access.OPEN) == everyone | {"anonymous": 0}
    assert sees(Room.Access.PUBLIC) == everyone


@pytest.mark.parametrize("query", ["att", "ATT", " Attic ", "ttic", "ＡＴＴ"])
def test_rooms_are_found_by_part_of_their_name(cast: Cast, query: str) -> None:
    page = client_of(cast.member).get("/rooms/", {"q": query}).content.decode()
    assert ">Attic</a>" in page
    assert ">Lobby</a>" not in page


@pytest.mark.parametrize("query", ["zzz", "%", "_", "\x00zzz", "z" * 500])
def test_a_search_without_results_says_what_to_do(cast: Cast, query: str) -> None:
    assert "Try a shorter part" in client_of(cast.member).get("/rooms/", {"q": query}).content.decode()


@pytest.mark.parametrize("count", [1, 40])
def test_the_list_takes_a_fixed_number_of_queries(
    cast: Cast, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        services.create_room(owner=cast.owner, name=f"Room {number}", topic="", access=Room.Access.OPEN)
    client = client_of(cast.member)
    with django_assert_num_queries(4):  # the session, the user, how many rooms, the rooms
        client.get("/rooms/")


# Create


def test_creating_a_room_makes_the_creator_its_owner(cast: Cast) -> None:
    response = client_of(cast.outsider).post("/rooms/new/", DETAILS)
    assert (response.status_code, response.headers["Location"]) == (302, "/rooms/cellar/")
    assert roles(Room.objects.get(slug="cellar")) == {"outsider": "Owner"}


def test_creating_a_room_needs_an_account(cast: Cast) -> None:
    response = client_of(None).post("/rooms/new/", DETAILS)
    assert (response.status_code, Room.objects.filter(name=DETAILS["name"]).exists()) == (403, False)


@pytest.mark.parametrize("name", ["", "   ", "attic", " ATTIC ", "Ａttic", "a" * 81, "a\x00"])
def test_a_bad_name_returns_the_reason_and_the_typed_values(cast: Cast, name: str) -> None:
    response = client_of(cast.outsider).post("/rooms/new/", DETAILS | {"name": name, "topic": "Kept"})
    page = response.content.decode()
    assert response.status_code == 422
    assert 'id="id_name_error"' in page
    assert 'aria-describedby="id_name_helptext id_name_error"' in page
    assert 'value="Kept"' in page


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Chess & Go", "chess-go"), ("Новости", "новости"), ("🎉", "room"), ("new", "new-2"), ("-Attic-", "attic-2")],
)
def test_addresses_come_from_names(cast: Cast, name: str, slug: str) -> None:
    response = client_of(cast.outsider).post("/rooms/new/", DETAILS | {"name": name})
    assert response.status_code == 302
    room = Room.objects.get(name=name)
    assert room.slug == slug
    assert client_of(cast.outsider).get(response.headers["Location"]).status_code == 200


# Join and leave


def test_anyone_with_an_account_can_join_an_open_room(cast: Cast) -> None:
    cast.open()
    client = client_of(cast.outsider)
    assert [client.post("/rooms/attic/join/").status_code for _ in range(2)] == [302, 302]
    cast.room.refresh_from_db()
    assert roles(cast.room)["outsider"] == "Member"
    assert cast.room.member_count == 4


def test_no_one_can_join_a_private_room_uninvited(cast: Cast) -> None:
    assert client_of(cast.outsider).post("/rooms/attic/join/").status_code == 404


def test_no_one_can_join_an_archived_room(cast: Cast) -> None:
    cast.open()
    services.set_archived(room=cast.room, archived=True)
    assert client_of(cast.outsider).post("/rooms/attic/join/").status_code == 403


def test_a_member_can_leave(cast: Cast) -> None:
    assert client_of(cast.member).post("/rooms/attic/leave/").status_code == 302
    cast.room.refresh_from_db()
    assert "member" not in roles(cast.room)
    assert cast.room.member_count == 2


def test_the_last_owner_cannot_leave_while_others_remain(cast: Cast) -> None:
    response = client_of(cast.owner).post("/rooms/attic/leave/", follow=True)
    assert "Hand it over to another member first." in response.content.decode()
    assert roles(cast.room)["owner"] == "Owner"


def test_the_first_to_join_an_empty_room_owns_it(cast: Cast) -> None:
    client = client_of(cast.outsider)
    client.post("/rooms/new/", DETAILS)
    assert client.post("/rooms/cellar/leave/").status_code == 302
    room = Room.objects.get(slug="cellar")
    assert roles(room) == {}
    for user in (cast.member, cast.owner):
        client_of(user).post("/rooms/cellar/join/")
    assert roles(room) == {"member": "Owner", "owner": "Member"}


def test_no_one_owns_the_lobby(cast: Cast, lobby: Room) -> None:
    assert set(roles(lobby).values()) == {"Member"}


def test_the_last_member_of_a_private_room_is_told_what_to_do_instead_of_leaving(cast: Cast) -> None:
    client = client_of(cast.outsider)
    client.post("/rooms/new/", DETAILS | {"access": "private"})
    for verb in ("leave/", "members/outsider/remove/"):
        page = client.post(f"/rooms/cellar/{verb}", follow=True).content.decode()
        assert "Delete it in its settings, or make it open first." in page
    assert roles(Room.objects.get(slug="cellar")) == {"outsider": "Owner"}


def test_a_switched_off_owner_does_not_count_when_the_last_owner_leaves(cast: Cast) -> None:
    services.set_role(room=cast.room, user=cast.moderator, role=Membership.Role.OWNER)
    type(cast.moderator).objects.filter(pk=cast.moderator.pk).update(is_active=False)
    client_of(cast.owner).post("/rooms/attic/leave/")
    assert roles(cast.room)["owner"] == "Owner"


def test_a_room_without_members_cannot_become_private(cast: Cast) -> None:
    services.create_room(owner=cast.owner, name="Cellar", topic="", access=Room.Access.OPEN)
    client_of(cast.owner).post("/rooms/cellar/leave/")
    type(cast.outsider).objects.filter(pk=cast.outsider.pk).update(role="owner")
    answer = client_of(cast.outsider).post("/rooms/cellar/settings/", DETAILS | {"access": "private", "topic": "Kept"})
    assert answer.status_code == 422
    assert "Join it first" in answer.content.decode()
    assert 'value="Kept"' in answer.content.decode()
    assert Room.objects.get(slug="cellar").access == Room.Access.OPEN


@pytest.mark.parametrize("verb", ["join/", "leave/", "settings/archive/", "settings/delete/", "members/member/role/"])
def test_changes_need_a_post(cast: Cast, verb: str) -> None:
    assert client_of(cast.owner).get(f"/rooms/attic/{verb}").status_code == 405


# Settings


def test_only_owners_see_the_settings(cast: Cast) -> None:
    statuses = cast.status_for_each(lambda client: client.get("/rooms/attic/settings/").status_code)
    assert statuses == {"anonymous": 302, "outsider": 404, "member": 403, "moderator": 403, "owner": 200}


@pytest.mark.parametrize("verb", ["settings/", "settings/archive/", "settings/delete/"])
def test_only_owners_can_change_a_room(cast: Cast, verb: str) -> None:
    form = DETAILS | {"archived": "1"}
    statuses = cast.status_for_each(lambda client: client.post(f"/rooms/attic/{verb}", form).status_code)
    assert [statuses[name] for name in ("anonymous", "outsider", "member", "moderator")] == [403, 404, 403, 403]


def test_a_site_owner_manages_rooms_they_can_see(cast: Cast) -> None:
    type(cast.outsider).objects.filter(pk=cast.outsider.pk).update(role="owner")
    client = client_of(cast.outsider)
    assert client.get("/rooms/attic/settings/").status_code == 404
    cast.open()
    assert client.get("/rooms/attic/settings/").status_code == 200


def test_a_renamed_room_keeps_its_former_addresses(cast: Cast) -> None:
    client = client_of(cast.owner)
    client.post("/rooms/attic/settings/", DETAILS)
    other = services.create_room(owner=cast.owner, name="Attic", topic="", access=Room.Access.OPEN)
    assert other.slug == "attic-2"
    client.post("/rooms/cellar/settings/", DETAILS | {"name": "Old Attic"})
    assert client.get("/rooms/attic/").headers["Location"] == "/rooms/old-attic/"
    assert client.get("/rooms/cellar/").headers["Location"] == "/rooms/old-attic/"


def test_a_room_can_take_its_old_name_and_address_back(cast: Cast) -> None:
    client = client_of(cast.owner)
    for name in ("Cellar", "Attic"):
        client.post("/rooms/attic/settings/", DETAILS | {"name": name})
    cast.room.refresh_from_db()
    assert cast.room.slug == "attic"
    assert client.get("/rooms/attic/").status_code == 200


def test_changing_the_case_of_a_name_keeps_the_address(cast: Cast) -> None:
    client_of(cast.owner).post("/rooms/attic/settings/", DETAILS | {"name": "ATTIC"})
    cast.room.refresh_from_db()
    assert (cast.room.name, cast.room.slug) == ("ATTIC", "attic")


def test_bad_settings_return_the_reason_and_change_nothing(cast: Cast) -> None:
    response = client_of(cast.owner).post("/rooms/attic/settings/", DETAILS | {"name": "Lobby"})
    page = response.content.decode()
    assert response.status_code == 422
    assert "Another room has this name" in page
    assert "Settings of <bdi>Attic</bdi>" in page
    cast.room.refresh_from_db()
    assert cast.room.name == "Attic"


def test_an_archived_room_can_be_reopened(cast: Cast) -> None:
    client = client_of(cast.owner)
    for archived in ("1", "0"):
        client.post("/rooms/attic/settings/archive/", {"archived": archived})
        cast.room.refresh_from_db()
        assert cast.room.is_archived == (archived == "1")


def test_deleting_a_room_needs_its_name(cast: Cast) -> None:
    client = client_of(cast.owner)
    response = client.post("/rooms/attic/settings/delete/", {"name": "Cellar"})
    assert response.status_code == 422
    assert "nothing was deleted" in response.content.decode()
    assert client.post("/rooms/attic/settings/delete/", {"name": "attic"}).status_code == 302
    assert not Room.objects.filter(slug="attic").exists()


def test_the_lobby_cannot_be_deleted(cast: Cast, lobby: Room) -> None:
    type(cast.owner).objects.filter(pk=cast.owner.pk).update(role="owner")
    response = client_of(cast.owner).post("/rooms/lobby/settings/delete/", {"name": "Lobby"}, follow=True)
    assert "where new people arrive" in response.content.decode()
    assert Room.objects.filter(pk=lobby.pk).exists()


# Members


def test_members_are_listed_for_anyone_who_may_see_the_room(cast: Cast) -> None:
    statuses = cast.status_for_each(lambda client: client.get("/rooms/attic/members/").status_code)
    assert statuses == {"anonymous": 302, "outsider": 404, "member": 200, "moderator": 200, "owner": 200}


@pytest.mark.parametrize("username", ["", "nobody-of-that-name", "a\x00", "a" * 500])
def test_a_bad_user_name_returns_the_reason(cast: Cast, username: str) -> None:
    response = client_of(cast.owner).post("/rooms/attic/members/", {"username": username})
    assert response.status_code == 422
    assert 'id="id_username_error"' in response.content.decode()


def test_only_owners_can_assign_roles(cast: Cast) -> None:
    make = {"role": Membership.Role.MODERATOR}
    statuses = cast.status_for_each(lambda client: client.post("/rooms/attic/members/member/role/", make).status_code)
    assert statuses == {"anonymous": 302, "outsider": 404, "member": 403, "moderator": 403, "owner": 302}
    assert roles(cast.room)["member"] == "Moderator"


@pytest.mark.parametrize("role", ["", "x", "0", "4", "-1"])
def test_a_role_that_does_not_exist_is_refused(cast: Cast, role: str) -> None:
    response = client_of(cast.owner).post("/rooms/attic/members/member/role/", {"role": role}, follow=True)
    assert "Choose one of the roles" in response.content.decode()
    assert roles(cast.room)["member"] == "Member"


def test_a_room_keeps_at_least_one_owner(cast: Cast) -> None:
    make = {"role": Membership.Role.MEMBER}
    response = client_of(cast.owner).post("/rooms/attic/members/owner/role/", make, follow=True)
    assert "A room needs an owner." in response.content.decode()
    assert roles(cast.room)["owner"] == "Owner"


def test_moderators_can_remove_members_but_not_their_equals(cast: Cast) -> None:
    services.add_member(room=cast.room, user=cast.outsider, role=Membership.Role.MODERATOR)
    client = client_of(cast.moderator)
    statuses = [
        client.post(f"/rooms/attic/members/{name}/remove/").status_code for name in ("owner", "outsider", "member")
    ]
    assert statuses == [403, 403, 302]
    assert roles(cast.room).keys() == {"owner", "moderator", "outsider"}


def test_members_cannot_remove_anyone(cast: Cast) -> None:
    assert client_of(cast.member).post("/rooms/attic/members/moderator/remove/").status_code == 403


def test_the_owner_can_hand_the_room_over(cast: Cast) -> None:
    response = client_of(cast.owner).post("/rooms/attic/members/member/hand-over/")
    assert response.status_code == 302
    assert roles(cast.room) == {"owner": "Moderator", "moderator": "Moderator", "member": "Owner"}


def test_only_the_owner_can_hand_the_room_over(cast: Cast) -> None:
    for name in ("moderator", "member"):
        assert client_of(getattr(cast, name)).post("/rooms/attic/members/member/hand-over/").status_code == 403
    assert client_of(cast.owner).post("/rooms/attic/members/owner/hand-over/").status_code == 302
    assert roles(cast.room)["owner"] == "Owner"


def test_acting_on_a_non_member_returns_404(cast: Cast) -> None:
    for verb in ("role", "remove", "hand-over"):
        assert client_of(cast.owner).post(f"/rooms/attic/members/outsider/{verb}/").status_code == 404


@pytest.mark.parametrize("count", [1, 60])
def test_the_members_page_takes_a_fixed_number_of_queries(
    cast: Cast, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        services.add_member(room=cast.room, user=make_user(f"person{number}"))
    client = client_of(cast.owner)
    # The session, the user, the room, who is invited, how many members, the members.
    with django_assert_num_queries(6):
        client.get("/rooms/attic/members/")


def test_a_name_that_grows_when_normalised_is_refused(cast: Cast) -> None:
    name = "\ufdfa" * 18
    response = client_of(cast.member).post("/rooms/new/", {"name": name, "topic": "", "access": "open"})
    assert response.status_code == 422
    assert name in response.content.decode()
    assert not Room.objects.filter(name=name).exists()


@pytest.mark.parametrize(("count", "said"), [(fragments.MAX_LISTED_MEMBERS, ""), (53, "and 3 more")])
def test_the_list_of_members_says_how_many_it_leaves_out(cast: Cast, count: int, said: str) -> None:
    cast.room.member_count = count
    assert " ".join(re.findall(r"and \d+ more", to_htmx(fragments.members(cast.room)))) == said

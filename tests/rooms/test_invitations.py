"""Invited users accept or decline; no one is added without asking, and removed members can't simply rejoin."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from apps.accounts import closing
from apps.accounts import invitations as links
from apps.accounts.models import User
from apps.core import limits
from apps.core.errors import Refusal
from apps.rooms import exports, invitations, services
from apps.rooms.models import Ban, Membership, Room, RoomInvitation
from tests.conftest import PASSWORD, Cast, client_of, make_user, say

MEMBERS = "/rooms/attic/members/"


def invite(cast: Cast, by: User | None = None, user: User | None = None) -> None:
    """Invite through the form, as an owner or moderator does."""
    form = {"username": (user or cast.outsider).username}
    assert client_of(by or cast.owner).post(MEMBERS, form).status_code == 302


def is_member(cast: Cast, user: User | None = None) -> bool:
    return Membership.objects.filter(room__slug="attic", user=user or cast.outsider).exists()


def home(cast: Cast) -> str:
    return client_of(cast.outsider).get("/").content.decode()


def remove(cast: Cast, user: User) -> None:
    assert client_of(cast.moderator).post(f"{MEMBERS}{user.username}/remove/").status_code == 302


# Inviting


def test_owners_and_moderators_can_invite(cast: Cast) -> None:
    expected = {"anonymous": 403, "outsider": 404, "member": 403, "moderator": 302, "owner": 302}
    statuses = {}
    for name in expected:
        make_user(f"for-{name}")
        client = client_of(getattr(cast, name, None))
        statuses[name] = client.post(MEMBERS, {"username": f"@For-{name}"}).status_code
    assert statuses == expected
    invited = RoomInvitation.objects.values_list("user__username", flat=True)
    assert set(invited) == {"for-moderator", "for-owner"}


def test_an_invited_user_is_not_a_member_yet(cast: Cast) -> None:
    invite(cast)
    assert not is_member(cast)


def test_home_shows_an_invitations_room_topic_and_inviter(cast: Cast) -> None:
    Room.objects.filter(pk=cast.room.pk).update(topic="Under the <roof>")
    assert "Attic" not in home(cast)
    invite(cast)
    page = home(cast)
    assert 'id="invitation-attic"' in page
    assert "Under the &lt;roof&gt;" in page
    assert "<bdi>owner</bdi>" in page
    assert 'action="/rooms/attic/join/"' in page
    assert 'action="/rooms/attic/decline/"' in page


def test_others_do_not_see_the_invitation(cast: Cast) -> None:
    invite(cast)
    assert "invitation-attic" not in client_of(make_user("else")).get("/").content.decode()


def test_an_invited_user_sees_nothing_of_a_private_room_before_accepting(cast: Cast) -> None:
    message = say(cast.room, cast.owner, "A secret")
    invite(cast)
    client = client_of(cast.outsider)
    for path in ("", "members/", "live/", f"messages/{message.pk}/", "settings/", "invitations/"):
        assert client.get(f"/rooms/attic/{path}").status_code == 404
    assert ">Attic</a>" not in client.get("/rooms/").content.decode()


def test_accepting_makes_a_member_and_ends_the_invitation(cast: Cast) -> None:
    invite(cast)
    answer = client_of(cast.outsider).post("/rooms/attic/join/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/rooms/attic/")
    assert is_member(cast)
    assert not RoomInvitation.objects.exists()


def test_an_invitation_can_be_accepted_at_the_rooms_former_address(cast: Cast) -> None:
    invite(cast)
    services.change_details(room=cast.room, name="Cellar", topic="", access=Room.Access.PRIVATE)
    assert client_of(cast.outsider).post("/rooms/attic/join/").headers["Location"] == "/rooms/cellar/"


def test_joining_another_way_ends_the_invitation(cast: Cast) -> None:
    invite(cast)
    cast.open()
    services.join_room(room=cast.room, user=cast.outsider)
    assert not RoomInvitation.objects.exists()


def test_inviting_twice_makes_one_invitation(cast: Cast) -> None:
    invite(cast)
    invite(cast, by=cast.moderator)
    assert RoomInvitation.objects.get().inviter == cast.owner


@pytest.mark.parametrize(("username", "reason"), [("member", "is in this room already"), ("owner", "already")])
def test_members_cannot_be_invited(cast: Cast, username: str, reason: str) -> None:
    answer = client_of(cast.owner).post(MEMBERS, {"username": username})
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    assert f'value="{username}"' in answer.content.decode()


def test_no_one_can_be_invited_to_an_archived_room(cast: Cast) -> None:
    services.set_archived(room=cast.room, archived=True)
    answer = client_of(cast.owner).post(MEMBERS, {"username": "outsider"})
    assert answer.status_code == 422
    assert "Open it again first" in answer.content.decode()


def test_pending_invitations_are_limited(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.MAX_ROOM_INVITATIONS >= 1000
    monkeypatch.setattr(invitations, "MAX_ROOM_INVITATIONS", 1)
    invite(cast)
    make_user("anna")
    answer = client_of(cast.owner).post(MEMBERS, {"username": "anna"})
    assert answer.status_code == 422
    assert "Withdraw some of them first" in answer.content.decode()


# Declining, withdrawing, and what ends an invitation


@pytest.mark.parametrize("verb", ["join/", "decline/", "members/outsider/withdraw/"])
def test_answering_an_invitation_needs_a_post_and_a_signed_in_user(cast: Cast, verb: str) -> None:
    invite(cast)
    assert client_of(cast.owner).get(f"/rooms/attic/{verb}").status_code == 405
    assert "/accounts/login/" in client_of(None).post(f"/rooms/attic/{verb}").headers["Location"]
    assert RoomInvitation.objects.pending().count() == 1


def test_a_user_who_declined_is_not_invited_again_for_thirty_days(cast: Cast) -> None:
    invite(cast)
    assert client_of(cast.outsider).post("/rooms/attic/decline/").status_code == 302
    assert "invitation-attic" not in home(cast)
    assert client_of(cast.outsider).post("/rooms/attic/join/").status_code == 404
    for client in (client_of(cast.owner), client_of(cast.moderator)):
        answer = client.post(MEMBERS, {"username": "outsider"})
        assert answer.status_code == 422
        assert "You can ask again in 30 days." in answer.content.decode()
    RoomInvitation.objects.update(declined_at=timezone.now() - timedelta(days=30))
    invite(cast)
    assert "invitation-attic" in home(cast)


def test_a_declined_invitation_cannot_be_withdrawn_to_invite_again(cast: Cast) -> None:
    invite(cast)
    client_of(cast.outsider).post("/rooms/attic/decline/")
    client_of(cast.owner).post(f"{MEMBERS}outsider/withdraw/")
    assert client_of(cast.owner).post(MEMBERS, {"username": "outsider"}).status_code == 422


def test_a_user_who_declined_can_still_join_an_open_room(cast: Cast) -> None:
    invite(cast)
    client_of(cast.outsider).post("/rooms/attic/decline/")
    cast.open()
    client_of(cast.outsider).post("/rooms/attic/join/")
    assert is_member(cast)


@pytest.mark.parametrize("slug", ["attic", "nowhere", "a%00b"])
def test_declining_a_nonexistent_invitation_reveals_nothing(cast: Cast, slug: str) -> None:
    page = client_of(cast.outsider).post(f"/rooms/{slug}/decline/", follow=True).content.decode()
    assert "This invitation is no longer open." in page


def test_a_former_member_is_invited_again_but_not_added(cast: Cast) -> None:
    client_of(cast.member).post("/rooms/attic/leave/")
    invite(cast, user=cast.member)
    assert not is_member(cast, cast.member)
    client_of(cast.member).post("/rooms/attic/join/")
    assert is_member(cast, cast.member)


def test_owners_and_moderators_can_withdraw_invitations(cast: Cast) -> None:
    def withdraw(client: Client) -> int:
        if not RoomInvitation.objects.exists():
            invite(cast)
        return client.post(f"{MEMBERS}outsider/withdraw/").status_code

    expected = {"anonymous": 302, "outsider": 404, "member": 403, "moderator": 302, "owner": 302}
    assert cast.status_for_each(withdraw) == expected
    assert not RoomInvitation.objects.exists()
    assert client_of(cast.outsider).post("/rooms/attic/join/").status_code == 404


def test_only_owners_and_moderators_see_who_is_invited(cast: Cast) -> None:
    invite(cast)
    shown = cast.status_for_each(lambda client: client.get(MEMBERS).content.decode().count("outsider/withdraw/"))
    assert shown == {"anonymous": 0, "outsider": 0, "member": 0, "moderator": 1, "owner": 1}


def lose_role(cast: Cast) -> None:
    services.set_role(room=cast.room, user=cast.moderator, role=Membership.Role.MEMBER)


def leave(cast: Cast) -> None:
    services.remove_member(room=cast.room, user=cast.moderator, reason="")


def archive(cast: Cast) -> None:
    services.set_archived(room=cast.room, archived=True)


def switch_off(cast: Cast) -> None:
    User.objects.filter(pk=cast.moderator.pk).update(is_active=False)


def close_account(cast: Cast) -> None:
    closing.close_account(user=cast.moderator, delete_messages=False, heir=None)


def delete_room(cast: Cast) -> None:
    services.delete_room(room=cast.room)


@pytest.mark.parametrize("end", [lose_role, leave, archive, switch_off, close_account, delete_room])
def test_an_invitation_ends_with_its_inviters_rights_or_its_room(cast: Cast, end: Callable[[Cast], None]) -> None:
    invite(cast, by=cast.moderator)
    end(cast)
    assert "invitation-attic" not in home(cast)
    assert client_of(cast.outsider).post("/rooms/attic/join/").status_code == 404
    assert not is_member(cast)


@pytest.mark.parametrize("end", [lose_role, leave])
def test_an_ended_invitation_does_not_return_with_a_new_role(cast: Cast, end: Callable[[Cast], None]) -> None:
    invite(cast, by=cast.moderator)
    end(cast)
    services.add_member(room=cast.room, user=cast.moderator)
    services.set_role(room=cast.room, user=cast.moderator, role=Membership.Role.MODERATOR)
    assert "invitation-attic" not in home(cast)


def test_a_declined_invitation_outlasts_its_inviters_role(cast: Cast) -> None:
    invite(cast, by=cast.moderator)
    client_of(cast.outsider).post("/rooms/attic/decline/")
    lose_role(cast)
    assert client_of(cast.owner).post(MEMBERS, {"username": "outsider"}).status_code == 422


def test_a_member_who_returned_another_way_can_be_removed_again(cast: Cast) -> None:
    remove(cast, cast.member)
    Membership.objects.create(room=cast.room, user=cast.member)  # as populate does
    Room.objects.filter(pk=cast.room.pk).update(member_count=3)
    remove(cast, cast.member)
    assert Ban.objects.count() == 1


def test_another_moderator_can_renew_an_ended_invitation(cast: Cast) -> None:
    invite(cast, by=cast.moderator)
    lose_role(cast)
    invite(cast)
    assert "invitation-attic" in home(cast)


def test_a_site_owner_can_invite_to_a_room_they_can_see(cast: Cast) -> None:
    site_owner = make_user("site-owner", role=User.Role.OWNER)
    cast.open()
    invite(cast, by=site_owner)
    assert "invitation-attic" in home(cast)
    cast.open(Room.Access.PRIVATE)
    assert "invitation-attic" not in home(cast)
    cast.open()
    User.objects.filter(pk=site_owner.pk).update(role=User.Role.MEMBER)
    assert "invitation-attic" not in home(cast)


def test_accepting_an_invitation_just_withdrawn_says_so(cast: Cast) -> None:
    invite(cast)
    found = invitations.invitation_to(cast.outsider, "attic")
    assert found
    invitations.withdraw(room=cast.room, username="outsider")
    with pytest.raises(Refusal, match="was withdrawn"):
        invitations.accept(invitation=found)


# Removals


def test_a_removed_member_cannot_rejoin(cast: Cast) -> None:
    cast.open()
    remove(cast, cast.member)
    client = client_of(cast.member)
    page = client.get("/rooms/attic/").content.decode()
    assert "You were removed from this room." in page
    assert "Join this room" not in page
    answer = client.post("/rooms/attic/join/")
    assert answer.status_code == 403
    assert "can invite you again" in answer.content.decode()
    assert not is_member(cast, cast.member)


def test_an_invitation_by_name_lifts_a_removal(cast: Cast) -> None:
    cast.open()
    remove(cast, cast.member)
    invite(cast, user=cast.member)
    assert Ban.objects.exists(), "only when it is accepted"
    client = client_of(cast.member)
    client.post("/rooms/attic/join/")
    client.post("/rooms/attic/leave/")
    client.post("/rooms/attic/join/")
    assert is_member(cast, cast.member)


def test_a_link_does_not_lift_a_removal(cast: Cast) -> None:
    remove(cast, cast.member)
    token = links.make(made_by=cast.owner, room_id=cast.room.pk, note="", days=7, most_uses=1)
    answer = client_of(cast.member).post(f"/invitations/{token}/accept/")
    assert answer.status_code == 404
    assert "You were removed from this room." in answer.content.decode()
    assert not is_member(cast, cast.member)


def test_a_member_who_left_can_rejoin(cast: Cast) -> None:
    cast.open()
    client = client_of(cast.member)
    for verb in ("leave/", "join/"):
        client.post(f"/rooms/attic/{verb}")
    assert is_member(cast, cast.member)


def test_members_who_removed_themselves_can_rejoin(cast: Cast) -> None:
    cast.open()
    services.set_role(room=cast.room, user=cast.moderator, role=Membership.Role.OWNER)
    client = client_of(cast.owner)
    for verb in ("members/owner/remove/", "join/"):
        client.post(f"/rooms/attic/{verb}")
    assert is_member(cast, cast.owner)


def test_a_removal_from_one_room_does_not_affect_another(cast: Cast) -> None:
    remove(cast, cast.member)
    services.create_room(owner=cast.owner, name="Cellar", topic="", access=Room.Access.OPEN)
    assert client_of(cast.member).post("/rooms/cellar/join/").status_code == 302


def test_a_removal_stays_when_its_moderator_closes_their_account(cast: Cast) -> None:
    cast.open()
    remove(cast, cast.member)
    close_account(cast)
    assert client_of(cast.member).post("/rooms/attic/join/").status_code == 403


# Stored data


def test_exported_data_has_invitations_and_removals(cast: Cast) -> None:
    invite(cast, by=cast.moderator)
    remove(cast, cast.member)
    assert [one["room"] for one in exports.invitations_of_person(cast.outsider)] == ["Attic"]
    assert [one["user"] for one in exports.invitations_of_person(cast.moderator)] == ["outsider"]
    assert [one["room"] for one in exports.removals_of_person(cast.member)] == ["Attic"]
    assert [one["user"] for one in exports.removals_of_person(cast.moderator)] == ["member"]
    assert list(exports.removals_of_person(cast.owner)) == list(exports.invitations_of_person(cast.owner)) == []


def test_invitations_and_removals_are_deleted_with_the_account(cast: Cast) -> None:
    invite(cast)
    remove(cast, cast.member)
    for user in (cast.outsider, cast.member):
        closing.close_account(user=user, delete_messages=False, heir=None)
    assert (RoomInvitation.objects.count(), Ban.objects.count()) == (0, 0)


@pytest.mark.parametrize("count", [1, 40])
def test_home_takes_a_fixed_number_of_queries(
    cast: Cast, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        room = services.create_room(owner=cast.owner, name=f"Room {number}", topic="", access=Room.Access.PRIVATE)
        invitations.invite(room=room, user=cast.outsider, inviter=cast.owner)
    client = client_of(cast.outsider)
    with django_assert_num_queries(4):  # the session, the user, their rooms, their invitations
        page = client.get("/").content.decode()
    assert page.count("/decline/") == count


@pytest.mark.parametrize("count", [1, 40])
def test_the_list_of_invited_users_takes_a_fixed_number_of_queries(
    cast: Cast, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        invitations.invite(room=cast.room, user=make_user(f"person{number}"), inviter=cast.owner)
    client = client_of(cast.owner)
    with django_assert_num_queries(6):  # the session, the user, the room, the invited, how many members, the members
        page = client.get(MEMBERS).content.decode()
    assert page.count("/withdraw/") == count


# Links, on a site that requires an invitation


@pytest.mark.parametrize(("role", "comes_in"), [("member", False), ("moderator", True), ("owner", True)])
def test_a_room_link_lets_strangers_sign_up_if_its_maker_may_invite_to_the_site(
    cast: Cast, settings: Settings, role: str, comes_in: bool
) -> None:
    settings.SIGNUP = "invite"
    User.objects.filter(pk=cast.owner.pk).update(role=role)
    token = links.make(made_by=cast.owner, room_id=cast.room.pk, note="", days=7, most_uses=5)
    stranger = Client()
    path = f"/invitations/{token}/"
    assert (">Sign up</button>" in stranger.get(path).content.decode()) == comes_in
    led_to = stranger.post(f"{path}accept/").headers["Location"]
    assert led_to.startswith("/accounts/signup/" if comes_in else "/accounts/login/?next=%2Finvitations%2F")
    stranger.post("/accounts/signup/", {"username": "stranger", "password1": PASSWORD})
    assert User.objects.filter(username="stranger").exists() == comes_in
    # A user with an account can join either way.
    client_of(cast.outsider).post(f"{path}accept/")
    assert is_member(cast)


def test_the_links_maker_is_told_who_can_use_it(cast: Cast, settings: Settings) -> None:
    settings.SIGNUP = "invite"
    page = client_of(cast.owner).get("/rooms/attic/invitations/").content.decode()
    assert "Those who have an account here join the room by the link." in page
    User.objects.filter(pk=cast.owner.pk).update(role="moderator")
    page = client_of(cast.owner).get("/rooms/attic/invitations/").content.decode()
    assert "Who follows the link can make an account." in page


def test_a_stashed_link_stops_working_once_its_maker_loses_the_right(cast: Cast, settings: Settings) -> None:
    settings.SIGNUP = "invite"
    User.objects.filter(pk=cast.owner.pk).update(role="moderator")
    token = links.make(made_by=cast.owner, room_id=cast.room.pk, note="", days=7, most_uses=5)
    stranger = Client()
    stranger.post(f"/invitations/{token}/accept/")
    User.objects.filter(pk=cast.owner.pk).update(role="member")
    stranger.post("/accounts/signup/", {"username": "stranger", "password1": PASSWORD})
    assert not User.objects.filter(username="stranger").exists()


def test_a_link_to_the_site_ends_with_its_makers_role(cast: Cast, settings: Settings) -> None:
    settings.SIGNUP = "invite"
    User.objects.filter(pk=cast.owner.pk).update(role="moderator")
    token = links.make(made_by=User.objects.get(pk=cast.owner.pk), room_id=None, note="", days=7, most_uses=5)
    assert Client().get(f"/invitations/{token}/").status_code == 200
    User.objects.filter(pk=cast.owner.pk).update(role="member")
    assert Client().get(f"/invitations/{token}/").status_code == 404


def test_a_removed_member_invited_again_can_join_from_the_room_and_the_list(cast: Cast) -> None:
    cast.open()
    client_of(cast.owner).post(f"{MEMBERS}member/remove/")
    member = client_of(cast.member)
    assert "You were removed" in member.get("/rooms/attic/").content.decode()
    assert "/rooms/attic/join/" not in member.get("/rooms/").content.decode()
    client_of(cast.owner).post(MEMBERS, {"username": "member"})
    for page in ("/rooms/attic/", "/rooms/"):
        text = member.get(page).content.decode()
        assert "You were removed" not in text
        assert "/rooms/attic/join/" in text
    member.post("/rooms/attic/join/")
    assert cast.room.memberships.filter(user=cast.member).exists()


@pytest.mark.parametrize("slug", ["attic", "nowhere"])
def test_accepting_an_ended_invitation_does_not_reveal_whether_the_room_exists(cast: Cast, slug: str) -> None:
    answer = client_of(cast.outsider).post(f"/rooms/{slug}/join/")
    assert answer.status_code == 404
    assert "the invitation is no longer open" in answer.content.decode()

"""What the site's owner decides: roles, who must have a second factor, and whose account is closed."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import AsyncClient, Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts import closing, invitations, services
from apps.accounts.models import SiteRules, User
from apps.chat import parting
from apps.chat import services as chat
from apps.chat.changes import change_messages
from apps.chat.models import Message
from apps.core.errors import Refusal
from apps.rooms import services as rooms
from apps.rooms.models import Membership, Room
from tests.conftest import PASSWORD, Cast, client_of, confirm_password, make_user, say, sign_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Client:
    """The browser of who owns the site."""
    client, _ = sign_up("ada")
    return client


PATHS = ["/site/", "/site/rules/", "/site/people/bob/role/", "/site/people/bob/close/"]


@pytest.mark.parametrize("path", PATHS)
def test_the_sites_pages_are_for_its_owner(owner: Client, path: str) -> None:
    method = "get" if path == "/site/" else "post"
    statuses = []
    for user in (None, make_user("bob"), make_user("mod", role="moderator")):
        client = client_of(user)
        statuses.append(getattr(client, method)(path).status_code)
    assert statuses == [302, 403, 403]


def test_the_owner_makes_a_moderator(owner: Client) -> None:
    make_user("bob")
    form = {"role": "moderator"}
    assert "/accounts/reauthenticate/" in owner.post("/site/people/bob/role/", form).headers["Location"]
    confirm_password(owner)
    owner.post("/site/people/bob/role/", form)
    bob = User.objects.get(username="bob")
    assert (bob.role, bob.is_staff) == ("moderator", False)


def test_another_owner_gets_the_keys_to_the_admin_and_loses_them_with_the_role(owner: Client) -> None:
    make_user("bob")
    confirm_password(owner)
    owner.post("/site/people/bob/role/", {"role": "owner"})
    bob = User.objects.get(username="bob")
    assert (bob.is_staff, bob.is_superuser) == (True, True)
    owner.post("/site/people/bob/role/", {"role": "member"})
    bob.refresh_from_db()
    assert (bob.is_staff, bob.is_superuser) == (False, False)


def test_the_last_owner_stays_one(owner: Client) -> None:
    confirm_password(owner)
    page = owner.post("/site/people/ada/role/", {"role": "member"}, follow=True).content.decode()
    assert "A site needs an owner" in page
    assert User.objects.get().is_site_owner


@pytest.mark.parametrize("role", ["", "king", "OWNER"])
def test_a_role_that_there_is_not_changes_nothing(owner: Client, role: str) -> None:
    make_user("bob")
    confirm_password(owner)
    page = owner.post("/site/people/bob/role/", {"role": role}, follow=True).content.decode()
    assert "Choose one of the roles" in page
    assert User.objects.get(username="bob").role == "member"


@pytest.mark.parametrize("people", [1, 30])
def test_the_list_of_people_costs_the_same_for_one_and_for_many(
    owner: Client, people: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(people):
        make_user(f"person{number}")
    with django_assert_num_queries(6):
        owner.get("/site/")


def test_people_are_found_by_either_name(owner: Client) -> None:
    make_user("bob", display_name="Robert")
    make_user("carol")
    for query in ("ROB", "bo"):
        page = owner.get("/site/", {"q": query}).content.decode()
        assert "/people/bob/" in page
        assert "/people/carol/" not in page


def require_second_factor(owner: Client) -> None:
    confirm_password(owner)
    owner.post("/site/rules/", {"staff_need_second_factor": "on"})
    assert SiteRules.objects.get().staff_need_second_factor


@pytest.mark.parametrize("path", ["/", "/rooms/lobby/", "/site/", "/invitations/", "/admin/"])
def test_staff_without_a_required_second_factor_are_led_to_set_one_up(owner: Client, path: str) -> None:
    require_second_factor(owner)
    for client in (owner, client_of(make_user("mod", role="moderator"))):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/2fa/")
        assert client.get("/accounts/2fa/").status_code == 200


def test_the_rule_holds_on_an_async_server(owner: Client) -> None:
    require_second_factor(owner)
    client = AsyncClient()
    client.cookies = owner.cookies
    answer = async_to_sync(client.get)("/rooms/lobby/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/2fa/")


def test_members_and_staff_with_a_second_factor_go_on(owner: Client) -> None:
    require_second_factor(owner)
    mod = make_user("mod", role="moderator")
    Authenticator.objects.create(user=mod, type=Authenticator.Type.TOTP, data={"secret": "x"})
    for user in (mod, make_user("bob")):
        assert client_of(user).get("/rooms/lobby/").status_code == 200


def test_recovery_codes_alone_are_no_second_factor(owner: Client) -> None:
    require_second_factor(owner)
    mod = make_user("mod", role="moderator")
    Authenticator.objects.create(user=mod, type=Authenticator.Type.RECOVERY_CODES, data={"seed": "x"})
    assert client_of(mod).get("/rooms/lobby/").status_code == 302


NEEDED = "Owners and moderators of this site need a second factor."


@pytest.mark.parametrize("is_async", [False, True])
def test_what_staff_without_a_required_second_factor_wrote_is_given_back(owner: Client, is_async: bool) -> None:
    require_second_factor(owner)
    form = {"body": "Long thought about", "client_id": "x"}
    client = AsyncClient()
    client.cookies = owner.cookies
    post: Callable[..., Any] = async_to_sync(client.post) if is_async else owner.post
    answer = post("/rooms/lobby/messages/", form)
    page = answer.content.decode()
    assert answer.status_code == 403
    assert NEEDED in page
    assert "Long thought about</textarea>" in page


def test_a_script_of_staff_without_a_required_second_factor_is_told_why(owner: Client) -> None:
    require_second_factor(owner)
    answer = owner.get("/rooms/lobby/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["Parley-Answer"]) == (403, "refusal")
    assert NEEDED in answer.content.decode()


def test_the_rule_can_be_taken_back(owner: Client) -> None:
    require_second_factor(owner)
    Authenticator.objects.create(
        user=User.objects.get(username="ada"), type=Authenticator.Type.TOTP, data={"secret": "x"}
    )
    owner.post("/site/rules/", {})
    assert not SiteRules.objects.get().staff_need_second_factor


def test_members_cost_no_query_for_the_rule(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client = client_of(make_user("bob"))
    with django_assert_num_queries(4):  # session, person, rooms, invitations
        client.get("/")


def test_the_password_is_needed_again_before_rules_change(owner: Client) -> None:
    answer = owner.post("/site/rules/", {"staff_need_second_factor": "on"})
    assert "/accounts/reauthenticate/" in answer.headers["Location"]
    assert not SiteRules.objects.exists()
    # What was asked for is done once the password is given.
    owner.post(answer.headers["Location"], {"password": PASSWORD})
    assert SiteRules.objects.get().staff_need_second_factor


# Closing somebody's account


CLOSE = "/site/people/bob/close/"


@pytest.fixture
def bob(owner: Client) -> User:
    """Somebody with an account, after the owner has said again who they are."""
    confirm_password(owner)
    return make_user("bob")


def close(owner: Client, **more: str) -> HttpResponse:
    return owner.post(CLOSE, {"messages": "keep", "username": "bob"} | more)  # type: ignore[return-value]


def test_the_password_is_needed_again_before_an_account_is_closed(owner: Client) -> None:
    make_user("bob")
    for answer in (owner.get(CLOSE), close(owner)):
        assert "/accounts/reauthenticate/" in answer.headers["Location"]
    assert User.objects.filter(username="bob").exists()


def test_a_look_at_the_page_and_a_wrong_method_close_nothing(owner: Client, bob: User) -> None:
    statuses = [owner.get(CLOSE).status_code, owner.put(CLOSE).status_code, owner.delete(CLOSE).status_code]
    assert statuses == [200, 405, 405]
    assert User.objects.filter(pk=bob.pk).exists()


def test_members_and_moderators_see_no_page_to_close_an_account(owner: Client, bob: User) -> None:
    for user in (bob, make_user("mod", role="moderator"), make_user("member")):
        assert client_of(user).get(CLOSE).status_code == 403
    assert "/accounts/login/" in client_of(None).get(CLOSE).headers["Location"]


def test_a_closed_account_is_signed_out_and_its_messages_stay_without_a_name(
    owner: Client, bob: User, lobby: Room
) -> None:
    say(lobby, bob, "I was here")
    theirs = client_of(bob)
    assert (close(owner).status_code, theirs.get("/accounts/profile/").status_code) == (302, 302)
    assert not User.objects.filter(username="bob").exists()
    message = Message.objects.get()
    assert (message.body, message.author, message.author_name) == ("I was here", None, "Deleted account")


def test_the_name_of_a_closed_account_stays_taken(owner: Client, bob: User) -> None:
    close(owner)
    sign_up("bob")
    assert not User.objects.filter(username="bob").exists()


def test_the_messages_of_a_closed_account_are_deleted_some_at_a_time(
    owner: Client, bob: User, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parting, "MESSAGES_AT_ONCE", 2)
    own = [say(lobby, bob, f"mine {number}") for number in range(5)]
    early = chat.delete_message(message=own[1], deleter=bob)
    other = say(lobby, make_user("carol"), "not mine")
    lobby.refresh_from_db()
    sizes: list[int] = []

    def change_and_count(*args: Any, **more: Any) -> None:
        change_messages(*args, **more)
        sizes.append(Message.objects.filter(author=None).count())

    monkeypatch.setattr("apps.chat.parting.change_messages", change_and_count)
    close(owner, messages="delete")
    assert sizes == [2, 4, 5]
    found = list(Message.objects.exclude(pk=other.pk).order_by("seq"))
    assert {(one.body, one.html, one.author, one.is_deleted) for one in found} == {("", "", None, True)}
    assert found[1].deleted_at == early.deleted_at, "what was deleted before is left as it is"
    numbers = [one.changed_seq for one in found]
    assert len(set(numbers)) == 5
    assert min(numbers) > lobby.last_seq, "each takes a number, so that pages hear of it"
    assert Room.objects.get(pk=lobby.pk).last_seq >= max(numbers)
    other.refresh_from_db()
    assert other.body == "not mine"


def test_a_room_that_only_they_owned_passes_on(owner: Client, bob: User) -> None:
    room = rooms.create_room(owner=bob, name="Den", topic="", access=Room.Access.OPEN)
    rooms.add_member(room=room, user=make_user("carol"))
    close(owner)
    assert list(room.memberships.values_list("user__username", "role")) == [("carol", Membership.Role.OWNER)]


@pytest.mark.parametrize("bad", [{"username": "ada"}, {"username": ""}, {"messages": "burn"}, {"messages": ""}])
def test_no_account_is_closed_without_the_right_confirmation(owner: Client, bob: User, bad: dict[str, str]) -> None:
    assert close(owner, **bad).status_code == 422
    assert User.objects.filter(pk=bob.pk).exists()


def test_what_was_typed_into_a_refused_confirmation_is_kept(owner: Client, bob: User) -> None:
    page = close(owner, username="rob", messages="delete").content.decode()
    assert 'value="rob"' in page
    assert re.search(r'value="delete"[^>]* checked', page)


@pytest.mark.parametrize("username", ["ada", "bob"])
def test_owners_accounts_are_not_closed_by_others_or_here(owner: Client, bob: User, username: str) -> None:
    User.objects.filter(pk=bob.pk).update(role="owner")
    path = f"/site/people/{username}/close/"
    for method in (owner.get, owner.post):
        page = method(path, {"messages": "keep", "username": username}, follow=True).content.decode()
        assert "Give them another role first." in page
    assert User.objects.filter(username=username).exists()


def test_who_becomes_an_owner_meanwhile_keeps_their_account(owner: Client, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(role="owner")
    ada = User.objects.get(username="ada")
    with pytest.raises(Refusal, match="another role first"):
        closing.close_account_of(user=bob, owner=ada, delete_messages=False)
    User.objects.filter(pk=bob.pk).delete()
    with pytest.raises(Refusal, match="deleted meanwhile"):
        closing.close_account_of(user=bob, owner=ada, delete_messages=False)


@pytest.mark.parametrize("name", ["nobody", "a%00b"])
def test_an_account_that_there_is_not_is_not_found(owner: Client, bob: User, name: str) -> None:
    assert owner.get(f"/site/people/{name}/close/").status_code == 404


def test_the_list_leads_to_closing_all_accounts_but_owners(owner: Client, bob: User) -> None:
    page = owner.get("/site/").content.decode()
    assert CLOSE in page
    assert "/site/people/ada/close/" not in page


def test_who_became_an_owner_meanwhile_keeps_their_messages(cast: Cast) -> None:
    boss = make_user("boss", role=User.Role.OWNER)
    say(cast.room, cast.member, "keep me")
    User.objects.filter(pk=cast.member.pk).update(role=User.Role.OWNER)
    with pytest.raises(Refusal):
        closing.close_account_of(user=cast.member, owner=boss, delete_messages=True)
    assert cast.room.messages.get().deleted_at is None


def test_nobody_writes_on_while_their_messages_go(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    say(cast.room, cast.member, "one")
    states = []

    def state(**kwargs: object) -> None:
        states.append(User.objects.get(pk=cast.member.pk).is_active)

    closing.messages_going.connect(state)
    try:
        closing.close_account_of(user=cast.member, owner=make_user("boss", role="owner"), delete_messages=True)
    finally:
        closing.messages_going.disconnect(state)
    assert states == [False]


def test_an_account_that_is_switched_off_can_be_found_and_closed(db: None) -> None:
    boss = make_user("boss", role="owner")
    make_user("troll", is_active=False)
    page = client_of(boss).get("/site/").content.decode()
    assert "switched off" in page
    assert "/site/people/troll/close/" in page


def test_links_to_the_site_end_with_their_makers_role(db: None) -> None:
    moderator = make_user("moderator", role="moderator")
    invitations.make(made_by=moderator, room_id=None, note="", days=7, most_uses=5)
    services.change_role(user=make_user("boss", role="owner"), role="owner")
    for role in ("member", "moderator"):
        services.change_role(user=moderator, role=role)
    assert not invitations.usable().exists()


@pytest.mark.parametrize("path", ["/words/en.js", "/accessibility/", "/keys/"])
def test_what_asks_for_no_rights_is_there_before_the_second_factor(owner: Client, path: str) -> None:
    require_second_factor(owner)
    assert owner.get(path).status_code == 200

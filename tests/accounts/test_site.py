"""The site owner's pages: roles, the second-factor rule, and closing accounts."""

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
    """The browser of the site's owner."""
    client, _ = sign_up("ada")
    return client


PATHS = ["/site/", "/site/rules/", "/site/people/bob/role/", "/site/people/bob/close/"]


@pytest.mark.parametrize("path", PATHS)
def test_the_site_pages_are_for_its_owner_only(owner: Client, path: str) -> None:
    method = "get" if path == "/site/" else "post"
    statuses = []
    for user in (None, make_user("bob"), make_user("mod", role="moderator")):
        client = client_of(user)
        statuses.append(getattr(client, method)(path).status_code)
    assert statuses == [302, 403, 403]


def test_the_owner_can_appoint_a_moderator(owner: Client) -> None:
    make_user("bob")
    form = {"role": "moderator"}
    assert "/accounts/reauthenticate/" in owner.post("/site/people/bob/role/", form).headers["Location"]
    confirm_password(owner)
    owner.post("/site/people/bob/role/", form)
    bob = User.objects.get(username="bob")
    assert (bob.role, bob.is_staff) == ("moderator", False)


def test_an_owner_gets_access_to_the_admin_and_loses_it_with_the_role(owner: Client) -> None:
    make_user("bob")
    confirm_password(owner)
    owner.post("/site/people/bob/role/", {"role": "owner"})
    bob = User.objects.get(username="bob")
    assert (bob.is_staff, bob.is_superuser) == (True, True)
    owner.post("/site/people/bob/role/", {"role": "member"})
    bob.refresh_from_db()
    assert (bob.is_staff, bob.is_superuser) == (False, False)


def test_the_last_owner_cannot_give_up_the_role(owner: Client) -> None:
    confirm_password(owner)
    page = owner.post("/site/people/ada/role/", {"role": "member"}, follow=True).content.decode()
    assert "A site needs an owner" in page
    assert User.objects.get().is_site_owner


@pytest.mark.parametrize("role", ["", "king", "OWNER"])
def test_an_unknown_role_changes_nothing(owner: Client, role: str) -> None:
    make_user("bob")
    confirm_password(owner)
    page = owner.post("/site/people/bob/role/", {"role": role}, follow=True).content.decode()
    assert "Choose one of the roles" in page
    assert User.objects.get(username="bob").role == "member"


@pytest.mark.parametrize("people", [1, 30])
def test_the_list_of_users_takes_a_fixed_number_of_queries(
    owner: Client, people: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(people):
        make_user(f"person{number}")
    with django_assert_num_queries(6):
        owner.get("/site/")


def test_users_are_found_by_either_name(owner: Client) -> None:
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
def test_staff_without_a_required_second_factor_must_set_one_up(owner: Client, path: str) -> None:
    require_second_factor(owner)
    for client in (owner, client_of(make_user("mod", role="moderator"))):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/2fa/")
        assert client.get("/accounts/2fa/").status_code == 200


def test_the_rule_applies_on_an_async_server(owner: Client) -> None:
    require_second_factor(owner)
    client = AsyncClient()
    client.cookies = owner.cookies
    answer = async_to_sync(client.get)("/rooms/lobby/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/2fa/")


def test_the_rule_spares_members_and_staff_with_a_second_factor(owner: Client) -> None:
    require_second_factor(owner)
    mod = make_user("mod", role="moderator")
    Authenticator.objects.create(user=mod, type=Authenticator.Type.TOTP, data={"secret": "x"})
    for user in (mod, make_user("bob")):
        assert client_of(user).get("/rooms/lobby/").status_code == 200


def test_recovery_codes_alone_are_not_a_second_factor(owner: Client) -> None:
    require_second_factor(owner)
    mod = make_user("mod", role="moderator")
    Authenticator.objects.create(user=mod, type=Authenticator.Type.RECOVERY_CODES, data={"seed": "x"})
    assert client_of(mod).get("/rooms/lobby/").status_code == 302


NEEDED = "Owners and moderators of this site need a second factor."


@pytest.mark.parametrize("is_async", [False, True])
def test_staff_without_a_required_second_factor_get_their_text_back(owner: Client, is_async: bool) -> None:
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


def test_scripts_of_staff_without_a_required_second_factor_get_the_reason(owner: Client) -> None:
    require_second_factor(owner)
    answer = owner.get("/rooms/lobby/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["Parley-Answer"]) == (403, "refusal")
    assert NEEDED in answer.content.decode()


def test_the_rule_can_be_lifted(owner: Client) -> None:
    require_second_factor(owner)
    Authenticator.objects.create(
        user=User.objects.get(username="ada"), type=Authenticator.Type.TOTP, data={"secret": "x"}
    )
    owner.post("/site/rules/", {})
    assert not SiteRules.objects.get().staff_need_second_factor


def test_the_rule_takes_no_query_for_members(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client = client_of(make_user("bob"))
    with django_assert_num_queries(4):  # the session, the user, their rooms, their invitations
        client.get("/")


def test_changing_rules_needs_the_password(owner: Client) -> None:
    answer = owner.post("/site/rules/", {"staff_need_second_factor": "on"})
    assert "/accounts/reauthenticate/" in answer.headers["Location"]
    assert not SiteRules.objects.exists()
    # The change is made once the password is given.
    owner.post(answer.headers["Location"], {"password": PASSWORD})
    assert SiteRules.objects.get().staff_need_second_factor


# Closing another user's account


CLOSE = "/site/people/bob/close/"


@pytest.fixture
def bob(owner: Client) -> User:
    """A user; the owner has just confirmed their password."""
    confirm_password(owner)
    return make_user("bob")


def close(owner: Client, **more: str) -> HttpResponse:
    return owner.post(CLOSE, {"messages": "keep", "username": "bob"} | more)  # type: ignore[return-value]


def test_closing_an_account_needs_the_password(owner: Client) -> None:
    make_user("bob")
    for answer in (owner.get(CLOSE), close(owner)):
        assert "/accounts/reauthenticate/" in answer.headers["Location"]
    assert User.objects.filter(username="bob").exists()


def test_viewing_the_page_or_a_wrong_method_closes_nothing(owner: Client, bob: User) -> None:
    statuses = [owner.get(CLOSE).status_code, owner.put(CLOSE).status_code, owner.delete(CLOSE).status_code]
    assert statuses == [200, 405, 405]
    assert User.objects.filter(pk=bob.pk).exists()


def test_members_and_moderators_cannot_open_the_page_to_close_an_account(owner: Client, bob: User) -> None:
    for user in (bob, make_user("mod", role="moderator"), make_user("member")):
        assert client_of(user).get(CLOSE).status_code == 403
    assert "/accounts/login/" in client_of(None).get(CLOSE).headers["Location"]


def test_a_closed_account_is_signed_out_and_its_messages_lose_their_author(
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


def test_a_closed_accounts_messages_are_deleted_in_batches(
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


def test_a_closed_accounts_room_passes_to_another_member(owner: Client, bob: User) -> None:
    room = rooms.create_room(owner=bob, name="Den", topic="", access=Room.Access.OPEN)
    rooms.add_member(room=room, user=make_user("carol"))
    close(owner)
    assert list(room.memberships.values_list("user__username", "role")) == [("carol", Membership.Role.OWNER)]


@pytest.mark.parametrize("bad", [{"username": "ada"}, {"username": ""}, {"messages": "burn"}, {"messages": ""}])
def test_no_account_is_closed_without_the_right_confirmation(owner: Client, bob: User, bad: dict[str, str]) -> None:
    assert close(owner, **bad).status_code == 422
    assert User.objects.filter(pk=bob.pk).exists()


def test_a_refused_confirmation_keeps_the_typed_values(owner: Client, bob: User) -> None:
    page = close(owner, username="rob", messages="delete").content.decode()
    assert 'value="rob"' in page
    assert re.search(r'value="delete"[^>]* checked', page)


@pytest.mark.parametrize("username", ["ada", "bob"])
def test_an_owners_account_cannot_be_closed_here(owner: Client, bob: User, username: str) -> None:
    User.objects.filter(pk=bob.pk).update(role="owner")
    path = f"/site/people/{username}/close/"
    for method in (owner.get, owner.post):
        page = method(path, {"messages": "keep", "username": username}, follow=True).content.decode()
        assert "Give them another role first." in page
    assert User.objects.filter(username=username).exists()


def test_a_user_who_has_since_become_an_owner_keeps_their_account(owner: Client, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(role="owner")
    ada = User.objects.get(username="ada")
    with pytest.raises(Refusal, match="another role first"):
        closing.close_account_of(user=bob, owner=ada, delete_messages=False)
    User.objects.filter(pk=bob.pk).delete()
    with pytest.raises(Refusal, match="deleted meanwhile"):
        closing.close_account_of(user=bob, owner=ada, delete_messages=False)


@pytest.mark.parametrize("name", ["nobody", "a%00b"])
def test_closing_an_unknown_account_returns_404(owner: Client, bob: User, name: str) -> None:
    assert owner.get(f"/site/people/{name}/close/").status_code == 404


def test_the_list_links_to_closing_every_account_except_owners(owner: Client, bob: User) -> None:
    page = owner.get("/site/").content.decode()
    assert CLOSE in page
    assert "/site/people/ada/close/" not in page


def test_a_user_who_has_since_become_an_owner_keeps_their_messages(cast: Cast) -> None:
    boss = make_user("boss", role=User.Role.OWNER)
    say(cast.room, cast.member, "keep me")
    User.objects.filter(pk=cast.member.pk).update(role=User.Role.OWNER)
    with pytest.raises(Refusal):
        closing.close_account_of(user=cast.member, owner=boss, delete_messages=True)
    assert cast.room.messages.get().deleted_at is None


def test_an_account_cannot_post_while_its_messages_are_deleted(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_switched_off_account_can_be_found_and_closed(db: None) -> None:
    boss = make_user("boss", role="owner")
    make_user("troll", is_active=False)
    page = client_of(boss).get("/site/").content.decode()
    assert "switched off" in page
    assert "/site/people/troll/close/" in page


def test_links_to_the_site_stay_revoked_after_their_maker_regains_the_role(db: None) -> None:
    moderator = make_user("moderator", role="moderator")
    invitations.make(made_by=moderator, room_id=None, note="", days=7, most_uses=5)
    services.change_role(user=make_user("boss", role="owner"), role="owner")
    for role in ("member", "moderator"):
        services.change_role(user=moderator, role=role)
    assert not invitations.usable().exists()


@pytest.mark.parametrize("path", ["/words/en.js", "/accessibility/", "/keys/"])
def test_public_pages_need_no_second_factor(owner: Client, path: str) -> None:
    require_second_factor(owner)
    assert owner.get(path).status_code == 200

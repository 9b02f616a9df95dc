"""Deletions between a page's check and its action: the user is told, and nothing fails."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections, transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client

from apps.accounts import closing, pictures
from apps.accounts import invitations as links
from apps.accounts import services as accounts
from apps.accounts.models import User
from apps.chat import parting, reading
from apps.chat import services as chat
from apps.core import locks
from apps.core.errors import Refusal
from apps.rooms import invitations, services
from apps.rooms.models import Membership, Room, RoomInvitation
from tests.conftest import PASSWORD, Cast, confirm_password, make_user, say

pytestmark = pytest.mark.django_db(transaction=True)

ROOM_GONE = "This room was deleted meanwhile."
ACCOUNT_GONE = "This account was deleted meanwhile."


def just_before(monkeypatch: pytest.MonkeyPatch, module: Any, verb: str, act: Callable[[], object]) -> None:
    """Run `act` to completion in another thread just before a view calls the verb."""
    original, done = getattr(module, verb), []

    def in_thread() -> None:
        try:
            # Inside a transaction no turn is taken (core/turns.py): the view may hold the only one.
            with transaction.atomic():
                act()
        finally:
            done.append(True)
            connections.close_all()

    def verb_afterwards(*args: Any, **kwargs: Any) -> Any:
        if not done:
            thread = threading.Thread(target=in_thread)
            thread.start()
            thread.join(timeout=30)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, verb, verb_afterwards)


def browser(user: User) -> Client:
    """A client that is shown the error page, as a user would be, if the site fails."""
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def delete(room: Room) -> Callable[[], None]:
    """A function that deletes the room, as the settings page does."""
    original = services.delete_room
    return lambda: original(room=room)


def close(user: User) -> Callable[[], None]:
    """A function that closes the account, as its user does."""
    original = closing.close_account
    return lambda: original(user=user, delete_messages=False, heir=None)


def leave(room: Room, user: User) -> Callable[[], None]:
    original = services.remove_member
    return lambda: original(room=room, user=user, reason="")


def text(response: HttpResponseBase) -> str:
    assert isinstance(response, HttpResponse)
    return response.content.decode()


@dataclass(frozen=True)
class Case:
    """A request, who sends it, and the verb that comes too late."""

    who: str
    path: str
    module: Any
    verb: str
    form: dict[str, str]


OF_A_ROOM = {
    "settings": Case("owner", "settings/", services, "change_details", {"name": "Den", "topic": "", "access": "open"}),
    "archive": Case("owner", "settings/archive/", services, "set_archived", {"archived": "1"}),
    "delete": Case("owner", "settings/delete/", services, "delete_room", {"name": "Attic"}),
    "leave": Case("member", "leave/", services, "remove_member", {}),
    "remove": Case("owner", "members/member/remove/", services, "remove_member", {}),
    "role": Case("owner", "members/member/role/", services, "set_role", {"role": "2"}),
    "hand over": Case("owner", "members/member/hand-over/", services, "hand_over", {}),
    "link": Case("owner", "invitations/", links, "make", {"note": "", "days": "7", "most_uses": "1"}),
}


@pytest.fixture
def there(transactional_db: None) -> Cast:
    # Transactional tests delete every row, the lobby too.
    Room.objects.get_or_create(is_lobby=True, defaults={"name": "Lobby", "slug": "lobby"})
    return Cast()


@pytest.mark.parametrize("name", OF_A_ROOM)
def test_any_action_on_a_room_just_deleted_says_that_it_was_deleted(
    there: Cast, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = OF_A_ROOM[name]
    just_before(monkeypatch, case.module, case.verb, delete(there.room))
    response = browser(getattr(there, case.who)).post(f"/rooms/attic/{case.path}", case.form)
    assert response.status_code == 404
    assert ROOM_GONE in text(response)
    assert not Room.objects.filter(pk=there.room.pk).exists()


def test_inviting_to_a_room_just_deleted_keeps_the_typed_name(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    just_before(monkeypatch, invitations, "invite", delete(there.room))
    response = browser(there.owner).post("/rooms/attic/members/", {"username": "outsider"})
    assert response.status_code == 422
    assert ROOM_GONE in text(response)
    assert 'value="outsider"' in text(response)


def test_inviting_an_account_just_closed_says_so(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    just_before(monkeypatch, invitations, "invite", close(there.outsider))
    response = browser(there.owner).post("/rooms/attic/members/", {"username": "outsider"})
    assert (response.status_code, ACCOUNT_GONE in text(response)) == (422, True)
    assert not RoomInvitation.objects.exists()


def test_joining_a_room_just_deleted_finds_no_room(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    there.open()
    just_before(monkeypatch, services, "join_room", delete(there.room))
    response = browser(there.outsider).post("/rooms/attic/join/")
    assert (response.status_code, "There is no such room to join" in text(response)) == (404, True)


def test_accepting_an_invitation_to_a_room_just_deleted_finds_no_room(
    there: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    invitations.invite(room=there.room, user=there.outsider, inviter=there.owner)
    just_before(monkeypatch, invitations, "accept", delete(there.room))
    response = browser(there.outsider).post("/rooms/attic/join/")
    assert (response.status_code, "There is no such room to join" in text(response)) == (404, True)


def test_a_link_to_a_room_just_deleted_is_no_longer_valid(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    token = links.make(made_by=there.owner, room_id=there.room.pk, note="", days=1, most_uses=1)
    just_before(monkeypatch, links, "accept", delete(there.room))
    response = browser(there.outsider).post(f"/invitations/{token}/accept/")
    assert (response.status_code, "This invitation is not good any more" in text(response)) == (404, True)


def test_revoking_a_link_to_a_room_just_deleted_is_not_an_error(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    links.make(made_by=there.owner, room_id=there.room.pk, note="", days=1, most_uses=1)
    pk = there.owner.invitations.get().pk
    just_before(monkeypatch, links, "revoke", delete(there.room))
    assert browser(there.owner).post(f"/invitations/{pk}/revoke/").status_code == 302


# The heir leaves the room, or closes their account.


@pytest.mark.parametrize("path", ["hand-over", "role"])
@pytest.mark.parametrize("how", ["leaves", "closes"])
def test_no_role_is_given_to_a_member_who_has_just_left(
    there: Cast, how: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = leave(there.room, there.member) if how == "leaves" else close(there.member)
    just_before(monkeypatch, services, "hand_over" if path == "hand-over" else "set_role", act)
    response = browser(there.owner).post(f"/rooms/attic/members/member/{path}/", {"role": "1"}, follow=True)
    assert response.status_code == 200
    assert "member is not a member of this room any more." in text(response) or (
        "member cannot sign in at present. Choose another member." in text(response)
    )
    assert there.room.memberships.get(role=Membership.Role.OWNER).user == there.owner


def test_removing_a_member_whose_account_was_just_closed_says_so(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    just_before(monkeypatch, services, "remove_member", close(there.member))
    response = browser(there.owner).post("/rooms/attic/members/member/remove/")
    assert (response.status_code, ACCOUNT_GONE in text(response)) == (404, True)
    assert not there.room.bans.exists()


# The user gets their text back.


def test_a_message_to_a_room_just_deleted_keeps_its_text(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    just_before(monkeypatch, chat, "post_message", delete(there.room))
    form = {"body": "long <thought>", "client_id": str(uuid.uuid4())}
    response = browser(there.member).post("/rooms/attic/messages/", form)
    assert response.status_code == 404
    assert "long &lt;thought&gt;</textarea>" in text(response)


def test_a_message_to_a_room_deleted_earlier_keeps_its_text(there: Cast) -> None:
    delete(there.room)()
    form = {"body": "long <thought>", "client_id": str(uuid.uuid4())}
    response = browser(there.member).post("/rooms/attic/messages/", form)
    assert response.status_code == 404
    assert "long &lt;thought&gt;</textarea>" in text(response)


def test_an_edit_by_a_removed_member_keeps_its_text(there: Cast) -> None:
    there.open()
    message = say(there.room, there.member)
    leave(there.room, there.member)()
    response = browser(there.member).post(f"/rooms/attic/messages/{message.pk}/edit/", {"body": "long <thought>"})
    assert response.status_code == 403
    assert "long &lt;thought&gt;</textarea>" in text(response)


@pytest.mark.parametrize("path", ["edit", "delete"])
def test_changing_a_message_in_a_room_just_deleted_keeps_the_text(
    there: Cast, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = say(there.room, there.member)
    just_before(monkeypatch, chat, f"{path}_message", delete(there.room))
    response = browser(there.member).post(f"/rooms/attic/messages/{message.pk}/{path}/", {"body": "long thought"})
    assert (response.status_code, ROOM_GONE in text(response)) == (422, True)
    assert path == "delete" or "long thought</textarea>" in text(response)


@pytest.mark.parametrize("path", ["edit", "delete"])
def test_changing_a_message_just_deleted_keeps_the_text(
    there: Cast, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = say(there.room, there.member)
    original = chat.delete_message
    just_before(monkeypatch, chat, f"{path}_message", lambda: original(message=message, deleter=there.moderator))
    response = browser(there.member).post(f"/rooms/attic/messages/{message.pk}/{path}/", {"body": "long thought"})
    assert (response.status_code, "This message was deleted meanwhile." in text(response)) == (422, True)
    assert path == "delete" or "long thought</textarea>" in text(response)


def test_editing_a_message_whose_row_is_gone_is_refused(there: Cast) -> None:
    message = say(there.room, there.member)
    type(message).objects.all().delete()
    with pytest.raises(Refusal, match="deleted meanwhile"):
        chat.edit_message(message=message, body="x", html="<p>x</p>")


def test_a_deleter_whose_account_was_just_closed_is_not_named(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    message = say(there.room, there.member)
    just_before(monkeypatch, chat, "delete_message", close(there.moderator))
    response = browser(there.moderator).post(f"/rooms/attic/messages/{message.pk}/delete/")
    assert response.status_code == 303
    message.refresh_from_db()
    assert (message.is_deleted, message.deleted_by) == (True, None)


def test_marking_a_room_just_deleted_as_read_is_not_an_error(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    just_before(monkeypatch, reading, "mark_read", delete(there.room))
    assert browser(there.member).post("/rooms/attic/read/", {"seq": "1"}).status_code == 204


# The user's own account, closed in another tab.

OF_AN_ACCOUNT = {
    "profile": Case("member", "/accounts/profile/", accounts, "store_profile", {"display_name": "M"}),
    "preferences": Case("member", "/accounts/preferences/", locks, "store", {}),
    "remove picture": Case("member", "/accounts/profile/picture/remove/", pictures, "remove", {}),
    "username": Case("member", "/accounts/username/", accounts, "change_username", {"username": "another"}),
    "new room": Case("member", "/rooms/new/", services, "create_room", {"name": "Den", "topic": "", "access": "open"}),
}


@pytest.mark.parametrize("name", OF_AN_ACCOUNT)
def test_any_change_to_an_account_just_closed_says_so(there: Cast, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = OF_AN_ACCOUNT[name]
    there.member.set_password(PASSWORD)
    there.member.save()
    client = browser(there.member)
    confirm_password(client)
    just_before(monkeypatch, case.module, case.verb, close(there.member))
    response = client.post(case.path, case.form)
    assert (response.status_code, ACCOUNT_GONE in text(response)) == (404, True)


def test_a_site_role_for_an_account_just_closed_is_refused(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    boss = make_user("boss", role=User.Role.OWNER)
    boss.set_password(PASSWORD)
    boss.save()
    client = browser(boss)
    confirm_password(client)
    just_before(monkeypatch, accounts, "change_role", close(there.member))
    response = client.post("/site/people/member/role/", {"role": "moderator"}, follow=True)
    assert (response.status_code, ACCOUNT_GONE in text(response)) == (200, True)


@pytest.mark.parametrize("who", ["the other owner", "the heir"])
def test_the_last_owner_must_name_an_heir_if_the_other_owner_or_heir_just_left(
    there: Cast, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    boss = make_user("boss", role=User.Role.OWNER)
    boss.set_password(PASSWORD)
    boss.save()
    client = browser(boss)
    confirm_password(client)
    form = {"messages": "keep", "username": "boss"}
    if who == "the heir":
        goes, form = there.member, form | {"heir": "member"}
    else:
        goes = make_user("other", role=User.Role.OWNER)
    just_before(monkeypatch, closing, "close_account", close(goes))
    response = client.post("/accounts/delete/", form)
    assert response.status_code == 422
    asked = "Say who else owns the site after you." if who == "the heir" else "Say who owns it after you."
    assert asked in text(response)
    assert 'name="heir"' in text(response)
    assert client.post("/accounts/delete/", form | {"heir": "moderator"}).status_code == 302
    assert User.objects.get(username="moderator").is_site_owner


def test_closing_an_account_twice_at_once_closes_it(there: Cast) -> None:
    again = User.objects.get(pk=there.member.pk)
    close(there.member)()
    closing.close_account(user=again, delete_messages=True, heir=None)
    assert not User.objects.filter(username="member").exists()


def test_closing_an_account_while_its_room_is_deleted_closes_it(there: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    say(there.room, there.member)
    just_before(monkeypatch, parting, "delete_some", delete(there.room))
    boss = make_user("boss", role=User.Role.OWNER)
    closing.close_account_of(user=there.member, owner=boss, delete_messages=True)
    assert not User.objects.filter(username="member").exists()

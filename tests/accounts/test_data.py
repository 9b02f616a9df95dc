"""Downloading a user's data, and closing an account."""

import io
import json
import zipfile
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from asgiref.sync import async_to_sync
from django.db.models import ForeignObjectRel, Model
from django.http import StreamingHttpResponse
from django.test import Client, TestCase
from pytest_django import DjangoAssertNumQueries

from apps.accounts import closing, exports, services
from apps.accounts.exports import TABLES, WITHHELD
from apps.accounts.models import User
from apps.chat import parting
from apps.chat import services as chat
from apps.chat.models import Message
from apps.core.errors import Refusal
from apps.live import broadcast
from apps.live.parts import to_htmx
from apps.rooms import services as rooms
from apps.rooms.models import Membership, Room
from tests.accounts.test_pictures import image, send
from tests.conftest import PASSWORD, Cast, client_of, confirm_password, make_user, say, sign_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(lobby: Room) -> tuple[User, Client]:
    """The site's owner, who has just confirmed her password, and her browser."""
    client, _ = sign_up("ada", email="ada@example.org")
    confirm_password(client)
    return User.objects.get(username="ada"), client


def archive_of(client: Client) -> zipfile.ZipFile:
    answer = client.post("/accounts/data/download/")
    assert isinstance(answer, StreamingHttpResponse)
    assert "attachment" in answer.headers["Content-Disposition"]

    async def read() -> bytes:
        return b"".join([piece async for piece in answer])

    return zipfile.ZipFile(io.BytesIO(async_to_sync(read)()))


def test_the_archive_has_everything_stored_about_the_user(ada: tuple[User, Client], lobby: Room) -> None:
    user, client = ada
    client.post("/accounts/profile/", {"display_name": "Ada"})
    send(client, image())
    say(lobby, user, "Good morning ☕")
    say(lobby, make_user("bob"), "Not hers")
    archive = archive_of(client)
    assert archive.testzip() is None
    kept = {"account.json", "picture.webp", "rooms.json", "room_invitations.json", "removals.json", "messages.json"}
    assert set(archive.namelist()) == {"README.txt"} | kept
    account: dict[str, Any] = json.loads(archive.read("account.json"))
    assert (account["username"], account["display_name"]) == ("ada", "Ada")
    assert account["email_addresses"][0]["email"] == "ada@example.org"
    assert account["devices"]
    assert [one["room"] for one in json.loads(archive.read("rooms.json"))] == ["Lobby"]
    assert [one["body"] for one in json.loads(archive.read("messages.json"))] == ["Good morning ☕"]


def test_the_archive_has_no_secrets(ada: tuple[User, Client]) -> None:
    user, client = ada
    archive = archive_of(client)
    everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    for secret in (user.password, client.cookies["sessionid"].value, PASSWORD):
        assert secret not in everything


def test_the_archived_account_has_every_column_not_withheld(ada: tuple[User, Client]) -> None:
    account = json.loads(archive_of(ada[1]).read("account.json"))
    columns = {field.name for field in User._meta.concrete_fields}
    assert set(account) == columns - WITHHELD[User] | set(TABLES)
    assert account["letter_keys"] is True
    assert "data" not in exports.exported_columns(Authenticator)


@pytest.mark.parametrize("model", WITHHELD)
def test_withheld_columns_exist(model: type[Model]) -> None:
    assert {field.name for field in model._meta.concrete_fields} >= WITHHELD[model]


# Tables that refer to users and are in other files of the archive, or deliberately left out, with the columns that
# were considered.
KNOWN = {
    "rooms.Membership": {"id", "room", "user", "role", "joined_at", "last_read_seq", "read_count", "announces"},
    "rooms.RoomInvitation": {"id", "room", "user", "inviter", "created_at", "declined_at"},
    "rooms.Ban": {"id", "room", "user", "by", "created_at"},
    "chat.Message": {
        *("id", "room", "seq", "changed_seq", "author", "client_id", "body", "html", "renderer_version"),
        *(
            "opens_day",
            "continues",
            "created_at",
            "edited_at",
            "deleted_at",
            "deleted_by",
            "sent_digest",
            "version_seq",
        ),
    },
    # The archive has the picture as a file.
    "accounts.Picture": {"id", "user", "key", "small", "large"},
    # Hashes, which keep others from taking the names.
    "accounts.FormerUsername": {"id", "digest", "user"},
    # Django's own, used only by its admin.
    "admin.LogEntry": {
        *("id", "action_time", "user", "content_type", "object_id"),
        *("object_repr", "action_flag", "change_message"),
    },
    "accounts.User_groups": {"id", "user", "group"},
    "accounts.User_user_permissions": {"id", "user", "permission"},
}


def test_each_table_about_users_is_in_the_archive_or_known_to_be_left_out() -> None:
    relations = [field for field in User._meta.get_fields(include_hidden=True) if isinstance(field, ForeignObjectRel)]
    tables = {relation.related_model for relation in relations}
    found = {
        model._meta.label: {field.name for field in model._meta.concrete_fields}
        for model in tables - {model for model, _ in TABLES.values()}
        if isinstance(model, type)
    }
    assert found == KNOWN


def test_an_archive_of_many_messages_is_complete(ada: tuple[User, Client], lobby: Room) -> None:
    user, client = ada
    first = say(lobby, user, "0")
    Message.objects.bulk_create(
        Message(
            room=lobby,
            seq=first.seq + n,
            changed_seq=first.seq + n,
            author=user,
            client_id=f"{n:032x}",
            body=f"{n} {n * 7919 % 99991}",
            html="",
            renderer_version=1,
            created_at=first.created_at,
        )
        for n in range(1, 3000)
    )
    said = json.loads(archive_of(client).read("messages.json"))
    assert len(said) == 3000
    assert said[2999]["body"].startswith("2999 ")


def test_downloading_and_closing_need_the_password(lobby: Room) -> None:
    client, _ = sign_up("ada")
    for path in ("/accounts/data/download/", "/accounts/delete/"):
        assert client.post(path).headers["Location"].startswith("/accounts/reauthenticate/")


def close(client: Client, **more: str) -> int:
    form = {"messages": "keep", "username": "ada"} | more
    return client.post("/accounts/delete/", form).status_code


def test_closing_an_account_removes_the_user_and_keeps_their_messages(ada: tuple[User, Client], lobby: Room) -> None:
    user, client = ada
    say(lobby, user, "I was here")
    assert close(client) == 302
    assert not User.objects.exists()
    assert Client().post("/accounts/login/", {"login": "ada", "password": PASSWORD}).status_code == 200
    assert client.get("/accounts/profile/").status_code == 302
    page = client_of(make_user("bob")).get("/rooms/lobby/").content.decode()
    assert "I was here" in page
    assert "Deleted account" in page
    assert "ada" not in page.partition('id="messages"')[2].partition("</ol>")[0]
    lobby.refresh_from_db()
    assert lobby.member_count == 1


def test_closing_an_account_can_delete_its_messages_too(ada: tuple[User, Client], lobby: Room) -> None:
    user, client = ada
    own = [say(lobby, user, f"mine {n}") for n in range(3)]
    other = say(lobby, make_user("bob"), "not mine")
    assert close(client, messages="delete", heir="bob") == 302
    assert {one.body for one in Message.objects.exclude(pk=other.pk)} == {""}
    numbers = list(Message.objects.filter(pk__in=[one.pk for one in own]).values_list("changed_seq", flat=True))
    assert len(set(numbers)) == 3
    assert min(numbers) > other.seq, "each takes a number, so that pages hear of it"


@pytest.mark.parametrize("bad", [{"username": "bob"}, {"username": ""}, {"messages": "burn"}, {"messages": ""}])
def test_nothing_is_deleted_without_the_right_confirmation(ada: tuple[User, Client], bad: dict[str, str]) -> None:
    assert close(ada[1], **bad) == 422
    assert User.objects.filter(username="ada").exists()


def test_the_last_owner_must_name_an_heir(ada: tuple[User, Client]) -> None:
    bob = make_user("bob")
    assert close(ada[1]) == 422
    for heir in ("nobody", "ada", ""):
        assert close(ada[1], heir=heir) == 422
    assert close(ada[1], heir="bob") == 302
    bob.refresh_from_db()
    assert (bob.is_site_owner, bob.is_superuser) == (True, True)


def test_one_of_two_owners_need_not_name_an_heir(ada: tuple[User, Client]) -> None:
    services.change_role(user=make_user("bob"), role=User.Role.OWNER)
    assert close(ada[1]) == 302


def test_the_service_too_refuses_to_leave_a_site_without_an_owner(ada: tuple[User, Client]) -> None:
    make_user("bob")
    with pytest.raises(Refusal, match="needs an owner"):
        closing.close_account(user=ada[0], delete_messages=False, heir=None)


def test_no_one_can_take_the_name_of_a_closed_account(ada: tuple[User, Client]) -> None:
    close(ada[1])
    assert sign_up("ada")[1] == 200
    assert not User.objects.exists()


def test_messages_deleted_earlier_keep_their_time(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    chat.delete_message(message=message, deleter=cast.owner)
    message.refresh_from_db()
    before = message.deleted_at
    closing.close_account(user=cast.member, delete_messages=True, heir=None)
    message.refresh_from_db()
    assert (message.deleted_at, message.deleted_by, message.author) == (before, cast.owner, None)


@pytest.mark.parametrize("rooms_said_in", [1, 4])
def test_deleting_messages_takes_a_fixed_number_of_queries_per_room(
    cast: Cast, rooms_said_in: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(rooms_said_in):
        room = rooms.create_room(owner=cast.member, name=f"Room {number}", topic="", access="open")
        for _ in range(20):
            say(room, cast.member)
    with django_assert_num_queries(3 + 5 * rooms_said_in):  # a savepoint and the rooms; each room's five
        parting.part_with(author=cast.member, delete_messages=True)


def test_a_room_passes_to_a_moderator_before_anyone_else(cast: Cast) -> None:
    closing.close_account(user=cast.owner, delete_messages=False, heir=None)
    assert cast.room.memberships.get(role=Membership.Role.OWNER).user == cast.moderator
    assert cast.room.memberships.count() == 2


def test_an_empty_private_room_is_deleted_and_an_open_one_stays() -> None:
    ada = make_user("ada")
    for access in (Room.Access.PRIVATE, Room.Access.OPEN):
        rooms.create_room(owner=ada, name=access, topic="", access=access)
    closing.close_account(user=ada, delete_messages=False, heir=None)
    assert set(Room.objects.filter(is_lobby=False).values_list("name", flat=True)) == {"open"}


def test_only_the_closed_accounts_pages_are_closed(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int | None] = []
    monkeypatch.setattr(broadcast, "revoke", lambda topic, *, user_id, render: ended.append(user_id))
    pk = cast.member.pk
    with TestCase.captureOnCommitCallbacks(execute=True):
        closing.close_account(user=cast.member, delete_messages=False, heir=None)
    assert set(ended) == {pk}


@pytest.mark.parametrize("delete", [True, False])
def test_pages_are_told_that_messages_lost_their_text_or_author(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, delete: bool
) -> None:
    say(cast.room, cast.member, "these words")
    told: list[str] = []
    monkeypatch.setattr(broadcast, "change", lambda topic, seq, render: told.append(to_htmx(render())))
    with TestCase.captureOnCommitCallbacks(execute=True):
        closing.close_account(user=cast.member, delete_messages=delete, heir=None)
    (changed,) = [html for html in told if "message-" in html]
    assert "Deleted account" in changed
    assert ("these words" in changed) is not delete
    assert "member</bdi>" not in changed


def test_if_a_step_fails_nothing_is_changed(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    message = say(cast.room, cast.owner, "still here")

    def fail(*args: object) -> None:
        raise RuntimeError("the machine stops here")

    monkeypatch.setattr(rooms, "take_out", fail)
    with pytest.raises(RuntimeError):
        closing.close_account(user=cast.owner, delete_messages=True, heir=None)
    message.refresh_from_db()
    assert (message.body, message.author) == ("still here", cast.owner)
    assert cast.room.memberships.get(user=cast.owner).role == Membership.Role.OWNER

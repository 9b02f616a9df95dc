"""A room's pages: who may see and do what, how bad input is answered, and how many queries it takes."""

import uuid
from collections.abc import Callable
from typing import TypeVar

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.chat import fragments, posting, services
from apps.chat.forms import MessageForm
from apps.chat.history import MESSAGES_ON_A_PAGE
from apps.chat.models import MAX_CHARACTERS, Message
from apps.core import limits
from apps.live.limits import allowance_of
from apps.live.parts import to_htmx
from apps.rooms import services as rooms
from apps.rooms.models import Membership, Room
from tests.conftest import Cast, client_of, make_user, say

T = TypeVar("T")


def fields(body: str = "Hello") -> dict[str, str]:
    return {"body": body, "client_id": str(uuid.uuid4())}


# The room


def test_a_private_room_is_visible_to_its_members_only(cast: Cast) -> None:
    statuses = cast.status_for_each(lambda client: client.get("/rooms/attic/").status_code)
    assert statuses == {"anonymous": 404, "outsider": 404, "member": 200, "moderator": 200, "owner": 200}


def test_an_open_room_is_visible_to_everyone_with_an_account(cast: Cast) -> None:
    cast.open()
    statuses = cast.status_for_each(lambda client: client.get("/rooms/attic/").status_code)
    assert statuses == {"anonymous": 404, "outsider": 200, "member": 200, "moderator": 200, "owner": 200}


def test_a_public_room_is_visible_to_everyone(cast: Cast) -> None:
    cast.open(Room.Access.PUBLIC)
    statuses = cast.status_for_each(lambda client: client.get("/rooms/attic/").status_code)
    assert set(statuses.values()) == {200}


def test_a_hidden_room_looks_the_same_as_no_room(cast: Cast) -> None:
    client = client_of(cast.outsider)
    hidden, absent = client.get("/rooms/attic/"), client.get("/rooms/absent/")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content.replace(b"attic", b"absent") == absent.content


@pytest.mark.parametrize(
    "path",
    [
        "a%00b/",
        "%F0%9F%8E%89/",
        "attic/messages/99999999999999999999999/",
        "attic/members/a%00b/remove/",
        "x" * 3000 + "/",
    ],
)
def test_an_invalid_address_returns_404(cast: Cast, path: str) -> None:
    client = client_of(cast.owner)
    method = client.post if path.endswith("remove/") else client.get
    assert method(f"/rooms/{path}").status_code == 404


def test_a_room_page_refuses_posts(cast: Cast) -> None:
    statuses = cast.status_for_each(lambda client: client.post("/rooms/attic/").status_code)
    assert set(statuses.values()) == {405}


def test_a_reader_who_is_not_a_member_can_join_but_has_no_composer(cast: Cast) -> None:
    cast.open()
    page = client_of(cast.outsider).get("/rooms/attic/").content.decode()
    assert 'id="composer"' not in page
    assert 'action="/rooms/attic/join/"' in page


def test_a_reader_without_an_account_is_asked_to_sign_in(cast: Cast) -> None:
    cast.open(Room.Access.PUBLIC)
    page = client_of(None).get("/rooms/attic/").content.decode()
    assert 'id="composer"' not in page
    assert "/accounts/login/?next=/rooms/attic/" in page


def test_a_rooms_former_address_redirects_to_it(cast: Cast) -> None:
    rooms.change_details(room=cast.room, name="Cellar", topic="", access=cast.room.access)
    response = client_of(cast.member).get("/rooms/attic/?before=9")
    assert (response.status_code, response.headers["Location"]) == (301, "/rooms/cellar/?before=9")
    assert client_of(cast.outsider).get("/rooms/attic/").status_code == 404


def test_posting_to_a_rooms_former_address_works(cast: Cast) -> None:
    rooms.change_details(room=cast.room, name="Cellar", topic="", access=cast.room.access)
    response = client_of(cast.member).post("/rooms/attic/messages/", fields())
    assert response.status_code == 303
    assert Message.objects.get().room == cast.room


def test_history_is_paged_by_plain_links(cast: Cast) -> None:
    for _ in range(MESSAGES_ON_A_PAGE + 1):
        say(cast.room, cast.member)
    client = client_of(cast.member)
    newest = client.get("/rooms/attic/")
    window = newest.context["window"]
    assert f'href="/rooms/attic/?before={window.older}"' in newest.content.decode()
    older = client.get(f"/rooms/attic/?before={window.older}").content.decode()
    assert older.count('<li id="message-') == 1
    assert "Newer messages" in older


def test_a_page_of_history_is_not_live(cast: Cast) -> None:
    for _ in range(MESSAGES_ON_A_PAGE + 1):
        say(cast.room, cast.member)
    client = client_of(cast.member)
    assert "hx-ws:connect" in client.get("/rooms/attic/").content.decode()
    assert "hx-ws:" not in client.get("/rooms/attic/?after=0").content.decode()


def test_htmx_gets_older_messages_as_a_fragment(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    response = client_of(cast.member).get(f"/rooms/attic/?before={message.seq + 1}", headers={"HX-Request": "true"})
    html = response.content.decode()
    assert html.startswith('<hx-upsert hx-target="#messages" key="data-seq" sort>')
    assert f'id="message-{message.pk}"' in html
    assert "<html" not in html
    assert "HX-Request" in response.headers["Vary"]


@pytest.mark.parametrize(("members", "messages"), [(3, 3), (3, 50), (300, 3)])
def test_a_room_page_takes_six_queries_however_large_the_room(
    cast: Cast, members: int, messages: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fill(cast, members, messages)
    client = client_of(cast.member)
    # The session, the user, the room with the viewer's role, its messages, its first members, the viewer's rooms.
    with django_assert_num_queries(6):
        assert client.get("/rooms/attic/").status_code == 200


def fill(cast: Cast, members: int, messages: int) -> None:
    """Fill the room, which has three members and no messages, up to these numbers."""
    for number in range(members - 3):
        rooms.add_member(room=cast.room, user=make_user(f"person{number}"))
    for _ in range(messages):
        say(cast.room, cast.member)


# Posting


def test_only_members_can_post(cast: Cast) -> None:
    cast.open()
    statuses = cast.status_for_each(lambda client: client.post("/rooms/attic/messages/", fields()).status_code)
    assert statuses == {"anonymous": 403, "outsider": 422, "member": 303, "moderator": 303, "owner": 303}
    assert Message.objects.count() == 3


def test_strangers_get_404_for_posting_into_a_private_room(cast: Cast) -> None:
    assert client_of(cast.outsider).post("/rooms/attic/messages/", fields()).status_code == 404
    assert not Message.objects.exists()


@pytest.mark.parametrize("slug", ["attic", "absent"])
def test_a_user_signed_out_since_gets_the_text_back_and_a_link_to_sign_in(cast: Cast, slug: str) -> None:
    response = client_of(None).post(f"/rooms/{slug}/messages/", fields("Long thought <b>"))
    page = response.content.decode()
    assert response.status_code == 403
    assert "Long thought &lt;b&gt;</textarea>" in page
    assert 'href="/accounts/login/?next=/"' in page


def test_posting_needs_a_post(cast: Cast) -> None:
    assert client_of(cast.member).get("/rooms/attic/messages/").status_code == 405


def test_a_plain_form_redirects_to_the_message_in_its_room(cast: Cast) -> None:
    response = client_of(cast.member).post("/rooms/attic/messages/", fields())
    message = Message.objects.get()
    assert (response.status_code, response.headers["Location"]) == (303, f"/rooms/attic/#message-{message.pk}")


def test_htmx_gets_the_same_acknowledgement_as_a_socket_and_the_message(cast: Cast) -> None:
    sent = fields()
    response = client_of(cast.member).post("/rooms/attic/messages/", sent, headers={"HX-Request": "true"})
    stored = Message.objects.select_related("author", "room").get()
    expected = f'<hx-sent client="{sent["client_id"]}" message="{stored.pk}" seq="{stored.seq}"></hx-sent>'
    expected += to_htmx(fragments.new_messages([stored]))
    assert (response.status_code, response.content.decode()) == (200, expected)


def test_htmx_resending_a_message_since_edited_gets_its_current_text(cast: Cast) -> None:
    sent = fields("First")
    client = client_of(cast.member)
    client.post("/rooms/attic/messages/", sent)
    services.edit_message(message=Message.objects.get(), body="Second")
    response = client.post("/rooms/attic/messages/", sent, headers={"HX-Request": "true"})
    assert ">Second</p>" in response.content.decode()


def test_a_page_whose_viewer_signed_out_keeps_its_message(cast: Cast) -> None:
    for client in (Client(), client_of(cast.owner)):
        sent = fields() | {"viewer": str(cast.member.pk)}
        response = client.post("/rooms/attic/messages/", sent, headers={"HX-Request": "true"})
        assert (response.status_code, response.content.decode()) == (403, "<hx-stranger></hx-stranger>")
    assert not Message.objects.exists()


def test_sending_a_text_another_user_wrote_here_asks_first_and_keeps_it(cast: Cast) -> None:
    client = client_of(cast.owner)
    response = client.post("/rooms/attic/messages/", fields("Mine?") | {"viewer": str(cast.member.pk)})
    page = response.content.decode()
    assert response.status_code == 422
    assert "You are signed in as owner now." in page
    assert "Mine?</textarea>" in page
    assert f'name="viewer" value="{cast.owner.pk}"' in page
    assert not Message.objects.exists()
    assert client.post("/rooms/attic/messages/", fields("Mine?") | {"viewer": str(cast.owner.pk)}).status_code == 303


def test_the_composer_tells_scripts_the_maximum_message_length(cast: Cast) -> None:
    page = client_of(cast.member).get("/rooms/attic/").content.decode()
    assert f'data-max="{MAX_CHARACTERS}"' in page


BAD = {
    "empty": ("", "Write something first."),
    "blank": (" \n\t ", "Write something first."),
    "too long": ("a" * (MAX_CHARACTERS + 1), "at most 10000 characters; this one has 10001"),
    "NUL": ("a\x00b", "NUL character"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_body_returns_the_reason_and_the_text(cast: Cast, kind: str) -> None:
    body, reason = BAD[kind]
    response = client_of(cast.member).post("/rooms/attic/messages/", fields(body))
    page = response.content.decode()
    assert response.status_code == 422
    assert reason in page
    assert "<title>Error: " in page
    assert body.replace("\x00", "").strip() in page
    assert not Message.objects.exists()


@pytest.mark.parametrize("kind", BAD)
def test_htmx_gets_the_reason_as_a_fragment(cast: Cast, kind: str) -> None:
    body, reason = BAD[kind]
    response = client_of(cast.member).post("/rooms/attic/messages/", fields(body), headers={"HX-Request": "true"})
    html = response.content.decode()
    assert response.status_code == 422
    assert html.startswith("<hx-refused client=")
    assert reason in html


def test_the_longest_message_is_stored_in_full(cast: Cast) -> None:
    client_of(cast.member).post("/rooms/attic/messages/", fields("🎉" * MAX_CHARACTERS))
    assert Message.objects.get().body == "🎉" * MAX_CHARACTERS


def test_lines_are_stored_as_typed(cast: Cast) -> None:
    client_of(cast.member).post("/rooms/attic/messages/", fields("\r\n    code\r\n\r\nb\rc \r\n"))
    assert Message.objects.get().body == "    code\n\nb\nc"


@pytest.mark.parametrize("client_id", ["", "x", "1" * 5000])
def test_a_bad_id_returns_advice_and_the_text(cast: Cast, client_id: str) -> None:
    response = client_of(cast.member).post("/rooms/attic/messages/", {"body": "Kept", "client_id": client_id})
    page = response.content.decode()
    assert response.status_code == 422
    assert "Reload it" in page
    assert "Kept</textarea>" in page


def test_going_back_and_sending_another_text_asks_to_confirm(cast: Cast) -> None:
    client, sent = client_of(cast.member), fields("First")
    client.post("/rooms/attic/messages/", sent)
    response = client.post("/rooms/attic/messages/", sent | {"body": "Second"})
    assert response.status_code == 422
    composer = response.context["composer"]
    assert composer.body == "Second"
    again = client.post("/rooms/attic/messages/", {"body": composer.body, "client_id": str(composer.client_id)})
    assert again.status_code == 303
    assert list(Message.objects.order_by("seq").values_list("body", flat=True)) == ["First", "Second"]


def test_posting_needs_the_csrf_token(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    response = client.post("/rooms/attic/messages/", fields())
    assert response.status_code == 403
    assert "no longer valid" in response.content.decode()
    assert not Message.objects.exists()


def test_posting_from_a_page_of_another_site_is_refused(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    client.get("/rooms/attic/")
    token = client.cookies["csrftoken"].value
    sent = fields() | {"csrfmiddlewaretoken": token}
    foreign = client.post("/rooms/attic/messages/", sent, headers={"Origin": "https://evil.example"})
    own = client.post("/rooms/attic/messages/", sent)
    assert (foreign.status_code, own.status_code) == (403, 303)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_posting_too_fast_is_refused_and_keeps_the_text(cast: Cast, headers: dict[str, str]) -> None:
    allowance_of(cast.member.pk).posts.left = -1000
    client = client_of(cast.member)
    sent = fields("Too fast")
    response = client.post("/rooms/attic/messages/", sent, headers=headers)
    assert response.status_code == 429
    assert "faster than anybody can read" in response.content.decode()
    assert ("Too fast" in response.content.decode()) == (not headers)
    assert not Message.objects.filter(body="Too fast").exists()
    allowance_of(cast.member.pk).posts.left = 1
    assert client.post("/rooms/attic/messages/", sent).status_code == 303


def test_sending_too_much_text_is_refused_and_keeps_it(cast: Cast) -> None:
    allowance_of(cast.member.pk).text.left = -1000
    response = client_of(cast.member).post("/rooms/attic/messages/", fields("x" * 9999 * 4))
    assert response.status_code == 422  # a text that is too long does not count
    allowance_of(cast.member.pk).text.left = -limits.TEXT_BYTES_PER_SECOND * 60
    response = client_of(cast.member).post("/rooms/attic/messages/", fields("\N{GRINNING FACE}" * 9999))
    assert response.status_code == 429
    assert "\N{GRINNING FACE}" * 9999 in response.content.decode()
    assert not Message.objects.exists()


def test_two_hundred_posts_at_once_are_accepted(cast: Cast) -> None:
    client = client_of(cast.member)
    statuses = {client.post("/rooms/attic/messages/", fields("x" * 1900)).status_code for _ in range(200)}
    assert statuses == {303}


def test_read_marks_are_rate_limited(cast: Cast) -> None:
    client = client_of(cast.member)
    assert client.post("/rooms/attic/read/", {"seq": 1}).status_code == 204
    allowance_of(cast.member.pk).marks.left = -1000
    assert client.post("/rooms/attic/read/", {"seq": 1}).status_code == 429


@pytest.mark.parametrize(("members", "messages"), [(3, 3), (3, 50), (300, 3)])
def test_a_post_takes_a_fixed_number_of_queries(
    cast: Cast, members: int, messages: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fill(cast, members, messages)
    client = client_of(cast.member)
    # The session, the user, the room; then in one transaction (its two ends count in tests): the locked room,
    # the membership, the message before, the new message, the room's numbers, how far the author has read.
    with django_assert_num_queries(11):
        assert client.post("/rooms/attic/messages/", fields()).status_code == 303


# A message's own page


@pytest.fixture
def message(cast: Cast) -> Message:
    return say(cast.room, cast.member, "Mine")


def at(message: Message, verb: str = "") -> str:
    return f"/rooms/attic/messages/{message.pk}/{verb}"


def test_a_permalink_is_visible_to_anyone_who_may_see_the_room(cast: Cast, message: Message) -> None:
    statuses = cast.status_for_each(lambda client: client.get(at(message)).status_code)
    assert statuses == {"anonymous": 404, "outsider": 404, "member": 200, "moderator": 200, "owner": 200}


def test_a_message_is_not_found_through_another_room(cast: Cast, message: Message) -> None:
    rooms.create_room(owner=cast.outsider, name="Elsewhere", topic="", access=Room.Access.OPEN)
    assert client_of(cast.outsider).get(f"/rooms/elsewhere/messages/{message.pk}/").status_code == 404


def test_the_page_offers_only_what_its_viewer_may_do(cast: Cast, message: Message) -> None:
    def offers(name: str) -> list[str]:
        page = client_of(getattr(cast, name)).get(at(message)).content.decode()
        return [verb for verb in ("edit", "delete") if f'action="{at(message, verb)}/"' in page]

    assert offers("member") == ["edit", "delete"]
    assert offers("moderator") == ["delete"]
    assert offers("owner") == ["delete"]


def test_only_its_author_can_edit_a_message(cast: Cast, message: Message) -> None:
    statuses = cast.status_for_each(lambda client: client.post(at(message, "edit/"), {"body": "New"}).status_code)
    assert statuses == {"anonymous": 403, "outsider": 404, "member": 303, "moderator": 403, "owner": 403}
    message.refresh_from_db()
    assert message.body == "New"


@pytest.mark.parametrize("name", ["member", "moderator", "owner"])
def test_its_author_and_moderators_can_delete_a_message(cast: Cast, message: Message, name: str) -> None:
    response = client_of(getattr(cast, name)).post(at(message, "delete/"))
    message.refresh_from_db()
    assert response.status_code == 303
    assert message.is_deleted


def test_other_members_cannot_delete_a_message(cast: Cast) -> None:
    message = say(cast.room, cast.owner)
    assert client_of(cast.member).post(at(message, "delete/")).status_code == 403
    assert client_of(cast.outsider).post(at(message, "delete/")).status_code == 404
    message.refresh_from_db()
    assert not message.is_deleted


@pytest.mark.parametrize("verb", ["edit/", "delete/"])
def test_changing_a_message_needs_a_post(cast: Cast, message: Message, verb: str) -> None:
    assert client_of(cast.member).get(at(message, verb)).status_code == 405


def test_an_edited_text_is_rendered_again(cast: Cast, message: Message) -> None:
    client_of(message.author).post(f"{message.get_absolute_url()}edit/", {"body": "**New**"})
    message.refresh_from_db()
    assert message.html == '<p dir="auto"><strong>New</strong></p>'


def test_an_edit_of_an_older_version_is_refused_with_both_texts(cast: Cast, message: Message) -> None:
    client, version = client_of(message.author), message.changed_seq
    page = client.get(message.get_absolute_url()).content.decode()
    assert f'name="version" value="{version}"' in page
    at_once = {"body": "From the phone", "version": version}
    assert client.post(at(message, "edit/"), at_once).status_code == 303
    # Sent twice, it is the same edit.
    assert client.post(at(message, "edit/"), at_once).status_code == 303
    for headers in ({}, {"HX-Request": "true"}):
        later = {"body": "From the <desk>", "version": version}
        response = client.post(at(message, "edit/"), later, headers=headers)
        page = response.content.decode()
        assert response.status_code == 409
        assert "changed meanwhile" in page
        assert 'readonly dir="auto">\nFrom the phone</textarea>' in page
        assert "From the &lt;desk&gt;</textarea>" in page
    message.refresh_from_db()
    assert message.body == "From the phone"
    assert f'name="version" value="{message.changed_seq}"' in page
    client.post(at(message, "edit/"), later | {"version": message.changed_seq})
    message.refresh_from_db()
    assert message.body == "From the <desk>"


@pytest.mark.parametrize("version", ["x", "-1", "9" * 30, "\x00"])
def test_an_invalid_version_changes_nothing(cast: Cast, message: Message, version: str) -> None:
    client = client_of(message.author)
    assert client.post(at(message, "edit/"), {"body": "New", "version": version}).status_code == 422
    message.refresh_from_db()
    assert message.body != "New"


def test_a_former_member_cannot_edit(cast: Cast, message: Message) -> None:
    cast.open()
    rooms.remove_member(room=cast.room, user=cast.member, reason="Out.")
    assert client_of(cast.member).post(at(message, "edit/"), {"body": "New"}).status_code == 403


def test_a_bad_edit_returns_the_reason_and_the_text(cast: Cast, message: Message) -> None:
    response = client_of(cast.member).post(at(message, "edit/"), {"body": "a" * (MAX_CHARACTERS + 1)})
    assert response.status_code == 422
    assert "this one has 10001" in response.content.decode()
    assert "a" * (MAX_CHARACTERS + 1) in response.content.decode()
    message.refresh_from_db()
    assert message.body == "Mine"


@pytest.mark.parametrize("bucket", ["posts", "text"])
def test_edits_share_the_rate_limit_of_posts_and_keep_the_text(cast: Cast, message: Message, bucket: str) -> None:
    client = client_of(cast.member)
    allowance = allowance_of(cast.member.pk)
    client.post(at(message, "edit/"), {"body": "x" * 100})
    assert allowance.posts.left < allowance.posts.capacity - 0.5
    assert allowance.text.left <= allowance.text.capacity - 50
    getattr(allowance, bucket).left = -100_000
    response = client.post(at(message, "edit/"), {"body": "Too fast"})
    assert response.status_code == 429
    assert "faster than anybody can read" in response.content.decode()
    assert "Too fast" in response.content.decode()
    message.refresh_from_db()
    assert message.body == "x" * 100


@pytest.mark.parametrize(("headers", "kind"), [({}, None), ({"HX-Request": "true"}, "refusal")])
def test_deletions_share_the_rate_limit_of_posts(
    cast: Cast, message: Message, headers: dict[str, str], kind: str | None
) -> None:
    allowance_of(cast.member.pk).posts.left = -1000
    response = client_of(cast.member).post(at(message, "delete/"), headers=headers)
    assert response.status_code == 429
    assert "faster than anybody can read" in response.content.decode()
    # Only words: the dialog may hold half an edit, which a fragment of the page would replace.
    assert response.headers.get("Parley-Answer") == kind
    message.refresh_from_db()
    assert not message.is_deleted


def test_a_member_whose_page_did_not_know_it_is_rendered_in_turn(cast: Cast) -> None:
    turns: list[bool] = []

    async def to_html(body: str) -> str:
        turns.append(allowance_of(cast.member.pk).turn().locked())
        return body

    async def in_thread(function: Callable[[], T]) -> T:
        return await sync_to_async(function)()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posting, "to_html", to_html)
        for viewer in (cast.member, cast.outsider):
            form = MessageForm(fields())
            async_to_sync(posting.submit)(
                form, room_id=cast.room.pk, author_id=viewer.pk, may_post=False, in_thread=in_thread
            )
    assert turns == [True]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_editing_a_message_since_deleted_says_so(cast: Cast, message: Message, headers: dict[str, str]) -> None:
    services.delete_message(message=message, deleter=cast.owner)
    response = client_of(cast.member).post(at(message, "edit/"), {"body": "New"}, headers=headers)
    assert response.status_code == 404
    assert "This message was deleted meanwhile." in response.content.decode()
    assert client_of(cast.moderator).post(at(message, "edit/"), {"body": "New"}).status_code == 403


def test_deleting_twice_deletes_once(cast: Cast, message: Message) -> None:
    client = client_of(cast.member)
    assert [client.post(at(message, "delete/")).status_code for _ in range(2)] == [303, 303]
    message.refresh_from_db()
    assert message.changed_seq == message.seq + 1


def test_htmx_is_told_when_a_change_is_done(cast: Cast, message: Message) -> None:
    response = client_of(cast.member).post(at(message, "edit/"), {"body": "New"}, headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["HX-Trigger"]) == (204, '{"message-done": {}}')


def test_nothing_can_be_changed_in_an_archived_room(cast: Cast, message: Message) -> None:
    rooms.set_archived(room=cast.room, archived=True)
    client = client_of(cast.member)
    assert client.post(at(message, "edit/"), {"body": "New"}).status_code == 403
    assert client.post(at(message, "delete/")).status_code == 403
    assert "archived" in client.get("/rooms/attic/").content.decode()


def test_every_address_of_a_deleted_room_returns_404(cast: Cast, message: Message) -> None:
    rooms.delete_room(room=cast.room)
    client = client_of(cast.member)
    for address in ("/rooms/attic/", at(message), "/rooms/attic/members/"):
        assert client.get(address).status_code == 404
    assert not Membership.objects.filter(user=cast.member, room=cast.room.pk).exists()

"""Read positions and unread counts."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.chat import reading, services
from apps.chat.views.conversation import SCRIPTS_RUN
from apps.rooms import services as rooms
from apps.rooms.access import Visit, room_for
from tests.conftest import Cast, client_of, say

# What browsers send when they load a page before the user asks for it.
AHEAD = [
    ("Sec-Purpose", "prefetch"),
    ("Sec-Purpose", "prefetch;prerender"),
    ("Purpose", "prefetch"),
    ("X-Moz", "prefetch"),
]


def visit(cast: Cast, user: User) -> Visit:
    """The room as the user sees it now."""
    return room_for(user, cast.room.slug, counts_unread=True)


def with_scripts(user: User) -> Client:
    """A browser in which a page's scripts have run."""
    client = client_of(user)
    client.cookies[SCRIPTS_RUN] = "run"
    return client


def test_others_messages_are_unread_and_the_users_own_are_not(cast: Cast) -> None:
    for _ in range(3):
        say(cast.room, cast.owner)
    assert visit(cast, cast.member).unread_count == 3
    assert visit(cast, cast.owner).unread_count == 0


def test_edits_deletions_and_new_members_do_not_count_as_unread(cast: Cast) -> None:
    first, second = say(cast.room, cast.owner), say(cast.room, cast.owner)
    reading.mark_read(room=visit(cast, cast.member).room, user=cast.member, seq=second.seq)
    services.edit_message(message=first, body="Other")
    services.delete_message(message=second, deleter=cast.owner)
    rooms.add_member(room=cast.room, user=cast.outsider)
    assert visit(cast, cast.member).unread_count == 0
    assert reading.first_unread(visit(cast, cast.member)) is None


def test_reading_some_messages_leaves_the_rest_unread(cast: Cast) -> None:
    said = [say(cast.room, cast.owner) for _ in range(5)]
    reading.mark_read(room=visit(cast, cast.member).room, user=cast.member, seq=said[1].seq)
    now = visit(cast, cast.member)
    assert (now.unread_count, reading.first_unread(now)) == (3, said[2])


def test_viewing_an_earlier_page_keeps_the_read_position(cast: Cast) -> None:
    said = [say(cast.room, cast.owner) for _ in range(3)]
    for seq in (said[1].seq, said[0].seq):
        reading.mark_read(room=visit(cast, cast.member).room, user=cast.member, seq=seq)
    assert visit(cast, cast.member).unread_count == 1


def test_the_read_position_never_moves_back_or_past_the_last_message(cast: Cast) -> None:
    said = [say(cast.room, cast.owner) for _ in range(3)]
    for seq in (said[2].seq, said[0].seq, 2**60):
        reading.mark_read(room=visit(cast, cast.member).room, user=cast.member, seq=seq)
    later = say(cast.room, cast.owner)
    now = visit(cast, cast.member)
    assert (now.unread_count, reading.first_unread(now)) == (1, later)


def test_messages_from_before_joining_are_not_unread(cast: Cast) -> None:
    say(cast.room, cast.owner)
    rooms.add_member(room=cast.room, user=cast.outsider)
    assert visit(cast, cast.outsider).unread_count == 0
    say(cast.room, cast.owner)
    assert visit(cast, cast.outsider).unread_count == 1


def test_being_added_again_keeps_the_read_position(cast: Cast) -> None:
    say(cast.room, cast.owner)
    rooms.add_member(room=cast.room, user=cast.member)
    assert visit(cast, cast.member).unread_count == 1


def test_a_reader_who_is_not_a_member_has_no_read_position(cast: Cast) -> None:
    cast.open()
    say(cast.room, cast.owner)
    reading.mark_read(room=cast.room, user=cast.outsider, seq=1)
    assert visit(cast, cast.outsider).unread_count == 0
    assert client_of(cast.outsider).get("/rooms/attic/").status_code == 200


def test_a_message_deleted_before_it_was_read_is_not_unread(cast: Cast) -> None:
    said = [say(cast.room, cast.owner) for _ in range(3)]
    services.delete_message(message=said[0], deleter=cast.owner)
    now = visit(cast, cast.member)
    assert (now.unread_count, reading.first_unread(now)) == (2, said[1])
    for message in said[1:]:
        services.delete_message(message=message, deleter=cast.owner)
    now = visit(cast, cast.member)
    assert (now.unread_count, reading.first_unread(now)) == (0, None)
    assert '<span class="unread">' not in client_of(cast.member).get("/").content.decode()
    say(cast.room, cast.owner)
    assert visit(cast, cast.member).unread_count == 1


def test_a_message_deleted_after_it_was_read_is_subtracted_once(cast: Cast) -> None:
    said = [say(cast.room, cast.owner) for _ in range(4)]
    services.delete_message(message=said[0], deleter=cast.owner)
    reading.mark_read(room=visit(cast, cast.member).room, user=cast.member, seq=said[1].seq)
    services.delete_message(message=said[1], deleter=cast.owner)
    services.delete_message(message=said[3], deleter=cast.owner)
    assert visit(cast, cast.member).unread_count == 1


# By page and by script


def test_a_page_that_is_only_prefetched_marks_nothing_read(cast: Cast) -> None:
    say(cast.room, cast.owner)
    client = client_of(cast.member)
    client.head("/rooms/attic/")
    for name, value in AHEAD:
        client.get("/rooms/attic/", headers={name: value})
    assert visit(cast, cast.member).unread_count == 1
    client.get("/rooms/attic/", headers={"Sec-Purpose": ""})
    assert visit(cast, cast.member).unread_count == 0


def test_messages_another_user_saw_in_this_browser_are_not_marked_read(cast: Cast) -> None:
    last = say(cast.room, cast.owner)
    client = with_scripts(cast.member)
    other = {"seq": last.seq, "viewer": cast.moderator.pk}
    assert client.post("/rooms/attic/read/", other).status_code == 403
    assert visit(cast, cast.member).unread_count == 1
    assert client.post("/rooms/attic/read/", other | {"viewer": cast.member.pk}).status_code == 204


def test_a_page_gives_scripts_the_read_position_and_its_title_without_a_count(cast: Cast) -> None:
    said = say(cast.room, cast.owner)
    reading.mark_read(room=visit(cast, cast.member).room, user=cast.member, seq=said.seq)
    say(cast.room, cast.owner)
    page = with_scripts(cast.member).get("/rooms/attic/").content.decode()
    assert f'data-unread="1" data-seen="{said.seq}" data-title="Attic – Parley"' in " ".join(page.split())


def test_a_page_without_scripts_marks_what_it_shows_as_read(cast: Cast) -> None:
    say(cast.room, cast.owner)
    client = client_of(cast.member)
    page = client.get("/rooms/attic/").content.decode()
    assert 'id="first-unread"' in page
    assert "<title>(1 unread) Attic" in page
    assert 'id="first-unread"' not in client.get("/rooms/attic/").content.decode()


def test_a_page_of_history_marks_messages_up_to_its_last_as_read(cast: Cast) -> None:
    said = [say(cast.room, cast.owner) for _ in range(60)]
    client_of(cast.member).get(f"/rooms/attic/?before={said[10].seq}")
    assert visit(cast, cast.member).unread_count == 50


def test_with_scripts_the_page_reports_what_was_read(cast: Cast) -> None:
    last = say(cast.room, cast.owner)
    client = with_scripts(cast.member)
    client.get("/rooms/attic/")
    assert visit(cast, cast.member).unread_count == 1
    assert client.post("/rooms/attic/read/", {"seq": last.seq}).status_code == 204
    assert visit(cast, cast.member).unread_count == 0


def test_the_unread_link_leads_to_the_first_unread_message(cast: Cast) -> None:
    said = [say(cast.room, cast.owner) for _ in range(60)]
    page = with_scripts(cast.member).get("/rooms/attic/").content.decode()
    assert 'id="first-unread"' not in page
    assert f'href="/rooms/attic/?at={said[0].seq}#message-{said[0].pk}"' in page


def test_only_members_can_mark_messages_as_read(cast: Cast) -> None:
    statuses = cast.status_for_each(lambda client: client.post("/rooms/attic/read/", {"seq": 1}).status_code)
    assert statuses == {"anonymous": 404, "outsider": 404, "member": 204, "moderator": 204, "owner": 204}
    assert client_of(cast.member).get("/rooms/attic/read/").status_code == 405
    cast.open()
    assert client_of(cast.outsider).post("/rooms/attic/read/", {"seq": 1}).status_code == 403


@pytest.mark.parametrize("seq", ["", "x", "-1", "9" * 30, "\x00"])
def test_an_invalid_number_changes_nothing(cast: Cast, seq: str) -> None:
    say(cast.room, cast.owner)
    assert client_of(cast.member).post("/rooms/attic/read/", {"seq": seq}).status_code == 422
    assert visit(cast, cast.member).unread_count == 1


@pytest.mark.parametrize("messages", [1, 60])
def test_reading_takes_a_fixed_number_of_queries(
    cast: Cast, messages: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(messages):
        last = say(cast.room, cast.owner)
    client = with_scripts(cast.member)
    # As when nothing is unread, plus the first unread message.
    with django_assert_num_queries(7):
        client.get("/rooms/attic/")
    # The session, the user, the room, the messages after that number, the position.
    with django_assert_num_queries(5):
        client.post("/rooms/attic/read/", {"seq": last.seq})


def test_room_lists_show_unread_counts_with_one_query(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    say(cast.room, cast.owner)
    for number in range(20):
        room = rooms.create_room(owner=cast.owner, name=f"Room {number}", topic="", access="open")
        rooms.add_member(room=room, user=cast.member)
    client = client_of(cast.member)
    with django_assert_num_queries(4):  # the session, the user, their rooms, their invitations
        page = client.get("/").content.decode()
    assert '<span class="unread">1 unread</span>' in page
    fragment = client.get("/?room=attic", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert fragment.count("<li") == 22  # with the lobby
    assert 'href="/rooms/attic/" aria-current="page"' in fragment


# What is announced


def test_only_members_choose_what_is_announced(cast: Cast) -> None:
    cast.open()
    statuses = cast.status_for_each(lambda client: client.get("/rooms/attic/announcements/").status_code)
    assert statuses == {"anonymous": 302, "outsider": 403, "member": 200, "moderator": 200, "owner": 200}
    client = client_of(cast.member)
    assert client.post("/rooms/attic/announcements/", {"announces": "off"}).status_code == 302
    assert cast.room.memberships.get(user=cast.member).announces == "off"
    assert cast.room.memberships.get(user=cast.owner).announces == "all"
    assert 'data-announces="off"' in client.get("/rooms/attic/").content.decode()


@pytest.mark.parametrize("level", ["", "loud"])
def test_an_unknown_level_is_refused(cast: Cast, level: str) -> None:
    response = client_of(cast.member).post("/rooms/attic/announcements/", {"announces": level})
    assert response.status_code == 422
    assert cast.room.memberships.get(user=cast.member).announces == "all"


def test_the_last_fifty_messages_by_others_are_listed_by_level(cast: Cast) -> None:
    for number in range(60):
        say(cast.room, cast.owner, f"Number {number} & *more*")
    say(cast.room, cast.owner, "For @membership only")
    say(cast.room, cast.owner, "For @member alone")
    say(cast.room, cast.member, "My own")
    client = client_of(cast.member)

    def lines(level: str) -> list[str]:
        client.post("/rooms/attic/announcements/", {"announces": level})
        page = client.get("/rooms/attic/announcements/").content.decode()
        return [part.partition("</li>")[0] for part in page.partition("<ol")[2].partition("</ol>")[0].split("<li>")[1:]]

    everything = lines("all")
    assert len(everything) == 50
    assert "<bdi>owner</bdi>: <bdi>For @member alone</bdi>" in everything[0]
    assert "<bdi>Number 59 &amp; more</bdi>" in everything[2]
    assert len(lines("mentions")) == 1
    assert lines("off") == []

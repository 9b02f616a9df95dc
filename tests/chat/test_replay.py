"""What a page that was disconnected is sent."""

import re
import uuid
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.chat import replay, services
from apps.chat.replay import changes_since
from apps.live.lines import MAX_UNREAD_BYTES
from apps.live.parts import to_htmx
from apps.live.sources import FROM_SCRATCH, Batch
from apps.rooms import services as rooms
from apps.rooms.models import Room
from tests.conftest import Cast, make_user, say


def html_of(batch: Batch) -> str:
    """What it shows, for htmx."""
    return "".join(map(to_htmx, batch.pieces))


def inserted(html: str) -> list[int]:
    """The numbers of the messages that a frame inserts, in order."""
    return [
        int(seq)
        for part in re.findall(r"<hx-upsert.*?</hx-upsert>", html, re.DOTALL)
        for seq in re.findall(r'data-seq="(\d+)"', part)
    ]


def replaced(html: str) -> list[str]:
    """The targets that a frame replaces, in order."""
    return re.findall(r'hx-partial hx-target="([^"]+)"', html)


def test_a_page_at_the_last_number_missed_nothing(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    assert changes_since(cast.room.pk, message.seq) == Batch(message.seq, message.seq)


def test_new_messages_are_inserted_in_order(cast: Cast) -> None:
    since = cast.room.last_seq
    posted = [say(cast.room, cast.member).seq for _ in range(3)]
    batch = changes_since(cast.room.pk, since)
    assert (batch.head, inserted(html_of(batch)), replaced(html_of(batch))) == (posted[-1], posted, [])


def test_a_changed_message_is_replaced_in_place(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    services.edit_message(message=message, body="New")
    batch = changes_since(cast.room.pk, message.seq)
    assert replaced(html_of(batch)) == [f"#message-{message.pk}"]
    assert not inserted(html_of(batch))
    assert '<p dir="auto">New</p>' in html_of(batch)


def test_a_new_message_since_edited_is_sent_once_in_its_current_form(cast: Cast) -> None:
    since = cast.room.last_seq
    first, second = say(cast.room, cast.member, "Old"), say(cast.room, cast.member)
    services.edit_message(message=first, body="New")
    batch = changes_since(cast.room.pk, since)
    assert inserted(html_of(batch)) == [first.seq, second.seq]
    assert "Old" not in html_of(batch)


def test_a_deletion_removes_the_text_from_the_page(cast: Cast) -> None:
    message = say(cast.room, cast.member, "Secret")
    services.delete_message(message=message, deleter=cast.member)
    batch = changes_since(cast.room.pk, message.seq)
    assert "This message was deleted." in html_of(batch)
    assert "Secret" not in html_of(batch)


def test_a_rename_and_a_new_member_are_included(cast: Cast) -> None:
    since = cast.room.last_seq
    rooms.change_details(room=cast.room, name="Cellar", topic="Below", access=cast.room.access)
    rooms.add_member(room=cast.room, user=make_user("zoe"))
    batch = changes_since(cast.room.pk, since)
    assert batch.head == since + 2
    assert replaced(html_of(batch)) == ["#room-details", "#members-panel", "#member-count"]
    assert "Cellar" in html_of(batch)
    assert "zoe" in html_of(batch)


@pytest.fixture
def short_patience() -> Iterator[None]:
    with patch.object(replay, "MAX_REPLAYED_MESSAGES", 3):
        yield


@pytest.mark.usefixtures("short_patience")
def test_a_page_that_missed_too_much_gets_the_newest_messages(cast: Cast) -> None:
    since = cast.room.last_seq
    posted = [say(cast.room, cast.member).seq for _ in range(4)]
    batch = changes_since(cast.room.pk, since)
    assert batch.head == posted[-1]
    assert replaced(html_of(batch)) == ["#conversation"]
    assert 'id="messages"' in html_of(batch)


def test_a_deleted_room_has_nothing_to_replay(cast: Cast) -> None:
    pk = cast.room.pk
    rooms.delete_room(room=cast.room)
    assert changes_since(pk, 7) == Batch(7, 7)


@pytest.mark.parametrize("count", [1, 20])
def test_the_numbers_of_all_rooms_take_one_query(
    cast: Cast, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    made = [
        rooms.create_room(owner=cast.owner, name=f"Room {n}", topic="", access=Room.Access.OPEN) for n in range(count)
    ]
    say(made[0], cast.owner)
    with django_assert_num_queries(1):
        heads = replay.last_numbers([f"{room.live_topic}.en" for room in made])
    assert heads == {f"{room.live_topic}.en": int(room == made[0]) for room in made}


@pytest.mark.parametrize("count", [3, 50])
def test_a_replay_takes_a_fixed_number_of_queries(
    cast: Cast, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    since = cast.room.last_seq
    for _ in range(count):
        services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body="Hello", client_id=uuid.uuid4())
    with django_assert_num_queries(2):  # the room; its changed messages with their authors
        changes_since(cast.room.pk, since)


def test_no_frame_is_larger_than_a_slow_reader_may_leave_unread(cast: Cast) -> None:
    since = cast.room.last_seq
    posted = [say(cast.room, cast.member, "<" * 10_000).seq for _ in range(12)]
    batch = changes_since(cast.room.pk, since)
    assert len(batch.pieces) > 2
    assert max(len(to_htmx(piece)) for piece in batch.pieces) < MAX_UNREAD_BYTES / 2
    assert inserted(html_of(batch)) == posted
    numbers = [re.findall(r'"(\d+)"', burst.texts[0].split(">")[0]) for burst in batch.bursts("room.1")]
    # A page that is cut off before the last frame asks again from its old position.
    assert numbers[:-1] == [[str(since), str(since)]] * (len(numbers) - 1)
    assert numbers[-1] == [str(since), str(posted[-1])]


def test_a_page_that_missed_long_messages_gets_the_newest_that_fit_one_frame(cast: Cast) -> None:
    since = cast.room.last_seq
    posted = [say(cast.room, cast.member, "<" * 10_000) for _ in range(20)]
    batch = changes_since(cast.room.pk, since)
    html = html_of(batch)
    assert replaced(html) == ["#conversation"]
    assert len(html) < MAX_UNREAD_BYTES
    shown = [int(seq) for seq in re.findall(r'data-seq="(\d+)"', html)]
    assert shown == [message.seq for message in posted[-len(shown) :]]
    assert 0 < len(shown) < 20
    assert f"?before={shown[0]}" in html


def test_a_message_posted_after_the_room_was_read_gets_its_own_frame(cast: Cast) -> None:
    since = cast.room.last_seq
    first, second = say(cast.room, cast.member), say(cast.room, cast.member)
    # The room as it was before the second one was stored.
    Room.objects.filter(pk=cast.room.pk).update(last_seq=first.seq)
    batch = changes_since(cast.room.pk, since)
    assert (batch.head, inserted(html_of(batch))) == (first.seq, [first.seq])
    assert second.seq > batch.head


def test_a_page_ahead_of_the_database_gets_the_room_as_it_is(cast: Cast) -> None:
    message = say(cast.room, cast.member, "The newest")
    with patch("apps.core.epoch.State.epoch", "abc"):
        batch = changes_since(cast.room.pk, FROM_SCRATCH)
    around, conversation = map(to_htmx, batch.pieces)
    assert replaced(around) == ["#room-details", "#members-panel", "#member-count"]
    assert replaced(conversation) == ["#conversation"]
    assert "The newest" in conversation
    assert (batch.since, batch.head, batch.epoch) == (0, message.seq, "abc")


def test_a_page_ahead_of_an_empty_room_gets_it_as_it_is(cast: Cast) -> None:
    batch = changes_since(cast.room.pk, FROM_SCRATCH)
    assert batch.epoch is not None
    assert "<li" not in to_htmx(batch.pieces[1])
    assert changes_since(0, FROM_SCRATCH) == Batch(FROM_SCRATCH, FROM_SCRATCH)

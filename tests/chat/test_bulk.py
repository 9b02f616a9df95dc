"""Many messages at once: what is stored is what posting them one by one stores."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.chat import bulk, services
from apps.chat.bulk import Row, write_messages
from apps.chat.models import Message
from apps.core.errors import Refusal
from apps.rooms import services as rooms
from apps.rooms.access import room_for
from apps.rooms.models import Room
from tests.conftest import Cast, make_user, say

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Between messages: within a group, at its limit, beyond it, over midnight, back, and far ahead and back.
PAUSES = [5, 300, 301, 43_200, -60, 10, 2 * 86_400, -86_400, 0, 20]
COLUMNS = "seq", "changed_seq", "author", "client_id", "body", "html", "opens_day", "continues", "created_at"


def rows_by(authors: Sequence[int]) -> list[Row]:
    """A conversation in which each author says two things in a row."""
    moment, rows = NOON, []
    for number, pause in enumerate(PAUSES):
        moment += timedelta(seconds=pause)
        author = authors[number // 2 % len(authors)]
        rows.append(Row(author, uuid.UUID(int=number), moment, f"No. {number}", f"<p>No. {number}</p>"))
    return rows


def post(room: Room, row: Row) -> None:
    with patch("apps.chat.services.timezone.now", lambda: row.created_at):
        services.post_message(
            room_id=room.pk, author_id=row.author_id, body=row.body, client_id=row.client_id, html=row.html
        )


def state_of(cast: Cast) -> tuple[object, ...]:
    """All that shows how the messages were written."""
    room = Room.objects.get(pk=cast.room.pk)
    people = cast.owner, cast.moderator, cast.member
    return (
        list(room.messages.order_by("seq").values_list(*COLUMNS)),
        (room.last_seq, room.message_count),
        list(room.memberships.order_by("pk").values_list("last_read_seq", "read_count")),
        [room_for(user, room.slug, counts_unread=True).unread_count for user in people],
    )


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_messages_written_at_once_are_as_if_posted_one_by_one(
    cast: Cast, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "ROWS_AT_ONCE", at_once)
    say(cast.room, cast.moderator)
    Message.objects.update(created_at=NOON - timedelta(minutes=2))
    rows = rows_by([cast.moderator.pk, cast.member.pk])
    with transaction.atomic():
        for row in rows:
            post(cast.room, row)
        posted = state_of(cast)
        transaction.set_rollback(True)
    assert write_messages(room=cast.room, rows=iter(rows)) == len(rows)
    assert state_of(cast) == posted


def test_rows_that_were_written_before_are_skipped(cast: Cast) -> None:
    rows = rows_by([cast.member.pk])
    assert write_messages(room=cast.room, rows=rows[:4]) == 4
    assert write_messages(room=cast.room, rows=[*rows, *rows]) == 6
    assert cast.room.messages.count() == len(rows)


def test_authors_need_not_be_members_and_those_who_are_gone_are_left_out(cast: Cast) -> None:
    gone = make_user("gone")
    rows = rows_by([cast.outsider.pk, gone.pk])
    gone.delete()
    assert write_messages(room=cast.room, rows=rows) == 6
    assert {message.author for message in cast.room.messages.all()} == {cast.outsider}
    assert not cast.room.memberships.filter(user=cast.outsider).exists()


def test_nothing_is_written_to_a_room_that_is_gone(cast: Cast) -> None:
    room = Room.objects.get(pk=cast.room.pk)
    rooms.delete_room(room=cast.room)
    with pytest.raises(Refusal, match="deleted"):
        write_messages(room=room, rows=rows_by([cast.member.pk]))


def test_many_take_as_many_queries_as_few(cast: Cast) -> None:
    counts = []
    for number in (2, 500):
        rows = [Row(cast.member.pk, uuid.uuid4(), NOON, f"{n}", f"<p>{n}</p>") for n in range(number)]
        with CaptureQueriesContext(connection) as queries:
            write_messages(room=cast.room, rows=rows)
        counts.append(len([query for query in queries if not query["sql"].startswith('INSERT INTO "chat_message"')]))
    # But for the messages, which SQLite takes some dozens at a time.
    assert counts[0] == counts[1]

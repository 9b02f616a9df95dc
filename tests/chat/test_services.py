"""Post, edit, delete."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks as Capture

from apps.chat import parting, services
from apps.chat.changes import messages_changed
from apps.chat.models import Message
from apps.core.errors import Refusal
from apps.rooms import services as rooms
from apps.rooms.changes import DESCRIBED, change_locked_room
from apps.rooms.models import Membership, Room
from apps.rooms.verbs import Kind
from tests.conftest import Cast, make_user, say


def test_a_post_takes_the_rooms_next_number(cast: Cast) -> None:
    before = cast.room.last_seq
    first, second = say(cast.room, cast.member), say(cast.room, cast.owner)
    cast.room.refresh_from_db()
    assert (first.seq, second.seq, cast.room.last_seq) == (before + 1, before + 2, before + 2)


def test_posting_again_with_the_same_id_returns_the_existing_message(cast: Cast) -> None:
    client_id = uuid.uuid4()
    posted = [
        services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body="Once", client_id=client_id)
        for _ in range(3)
    ]
    assert len({message.pk for message in posted}) == 1
    assert Message.objects.count() == 1


def test_the_same_id_with_another_text_is_refused_and_stores_nothing(cast: Cast) -> None:
    client_id = uuid.uuid4()
    services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body="Once", client_id=client_id)
    with pytest.raises(Refusal, match="sent before"):
        services.post_message(
            room_id=cast.room.pk, author_id=cast.member.pk, body="Something else", client_id=client_id
        )
    assert Message.objects.count() == 1


def test_the_same_id_again_after_an_edit_is_still_the_same_message(cast: Cast) -> None:
    client_id = uuid.uuid4()
    message = services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body="Once", client_id=client_id)
    services.edit_message(message=message, body="Twice")
    again = services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body="Once", client_id=client_id)
    assert again.pk == message.pk


def test_a_stored_message_is_acknowledged_again_after_the_room_is_archived(cast: Cast) -> None:
    client_id = uuid.uuid4()
    message = services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body="Once", client_id=client_id)
    rooms.set_archived(room=cast.room, archived=True)
    again = services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body="Once", client_id=client_id)
    assert again.pk == message.pk


def test_two_users_may_use_the_same_id(cast: Cast) -> None:
    client_id = uuid.uuid4()
    for author in (cast.member, cast.owner):
        services.post_message(room_id=cast.room.pk, author_id=author.pk, body="Mine", client_id=client_id)
    assert Message.objects.count() == 2


def at_once(times: int, work: Callable[[int], object]) -> list[object]:
    """Do the work in this many threads at once, each with its own database connection."""

    def one(number: int) -> object:
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


@pytest.mark.django_db(transaction=True)
def test_posting_the_same_id_ten_times_at_once_stores_one_message() -> None:
    author = make_user("ada")
    room = rooms.create_room(owner=author, name="Attic", topic="", access=Room.Access.OPEN)
    client_id = uuid.uuid4()
    posted = at_once(
        10,
        lambda _: services.post_message(room_id=room.pk, author_id=author.pk, body="Once", client_id=client_id).pk,
    )
    assert len(set(posted)) == 1
    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_id_in_two_rooms_at_once_stores_one_message() -> None:
    author = make_user("ada")
    two = [
        rooms.create_room(owner=author, name=name, topic="", access=Room.Access.OPEN) for name in ("Attic", "Cellar")
    ]
    client_id = uuid.uuid4()

    def post(number: int) -> str:
        try:
            services.post_message(room_id=two[number % 2].pk, author_id=author.pk, body="Once", client_id=client_id)
        except Refusal:
            return "refused"
        return "stored"

    assert "stored" in at_once(8, post)
    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_posts_take_numbers_without_gaps_or_duplicates() -> None:
    author = make_user("ada")
    room = rooms.create_room(owner=author, name="Attic", topic="", access=Room.Access.OPEN)
    at_once(10, lambda number: [say(room, author, f"{number} {again}") for again in range(5)])
    numbers = list(Message.objects.order_by("seq").values_list("seq", flat=True))
    assert numbers == list(range(1, 51))
    assert Room.objects.get(pk=room.pk).last_seq == 50


def test_a_non_member_cannot_post(cast: Cast) -> None:
    cast.open()
    with pytest.raises(Refusal, match="not a member"):
        say(cast.room, cast.outsider)


def test_no_one_can_post_in_an_archived_room(cast: Cast) -> None:
    rooms.set_archived(room=cast.room, archived=True)
    with pytest.raises(Refusal, match="archived"):
        say(cast.room, cast.owner)


def test_no_one_can_post_in_a_deleted_room(cast: Cast) -> None:
    room = Room.objects.get(pk=cast.room.pk)
    rooms.delete_room(room=cast.room)
    with pytest.raises(Refusal, match="deleted"):
        say(room, cast.owner)


def test_an_edit_keeps_the_place_and_takes_a_new_number(cast: Cast) -> None:
    message = say(cast.room, cast.member, "Old")
    say(cast.room, cast.owner)
    edited = services.edit_message(message=message, body="**New**")
    assert edited.seq == message.seq
    assert edited.changed_seq == message.seq + 2
    assert edited.html == '<p dir="auto"><strong>New</strong></p>'
    assert edited.edited_at


def test_an_edit_that_changes_nothing_takes_no_number(cast: Cast) -> None:
    message = say(cast.room, cast.member, "Same")
    assert services.edit_message(message=message, body="Same").changed_seq == message.seq


def test_a_deletion_leaves_a_tombstone_without_the_text(cast: Cast) -> None:
    message = say(cast.room, cast.member, "Secret")
    services.delete_message(message=message, deleter=cast.moderator)
    message.refresh_from_db()
    assert (message.body, message.html, message.deleted_by) == ("", "", cast.moderator)
    assert message.changed_seq == message.seq + 1


def test_a_deleted_message_cannot_be_edited(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    services.delete_message(message=message, deleter=cast.member)
    with pytest.raises(Refusal, match="deleted"):
        services.edit_message(message=message, body="Back")


def test_one_authors_messages_form_a_group(cast: Cast) -> None:
    continues = [say(cast.room, author).continues for author in (cast.member, cast.member, cast.owner, cast.member)]
    assert continues == [False, True, False, False]


def test_a_pause_ends_a_group(cast: Cast) -> None:
    first = say(cast.room, cast.member)
    Message.objects.filter(pk=first.pk).update(created_at=timezone.now() - services.GROUP_PAUSE - timedelta(seconds=1))
    assert not say(cast.room, cast.member).continues


def test_the_first_message_of_a_day_is_marked(cast: Cast) -> None:
    first = say(cast.room, cast.member)
    assert first.opens_day
    assert not say(cast.room, cast.member).opens_day
    Message.objects.update(created_at=timezone.now() - timedelta(days=1))
    assert say(cast.room, cast.member).opens_day


def test_a_removed_member_cannot_post_from_an_old_page(cast: Cast) -> None:
    rooms.remove_member(room=cast.room, user=cast.member, reason="Out.")
    assert not Membership.objects.filter(user=cast.member, room=cast.room).exists()
    with pytest.raises(Refusal, match="not a member"):
        say(cast.room, cast.member)


def test_times_in_a_room_do_not_go_back_when_a_clock_does(cast: Cast) -> None:
    first = say(cast.room, cast.member)
    with patch("apps.chat.services.timezone.now", lambda: first.created_at - timedelta(hours=2)):
        second = say(cast.room, cast.member)
    assert second.created_at == first.created_at
    assert second.continues and not second.opens_day
    assert say(cast.room, cast.member).created_at > first.created_at


def test_a_time_far_in_the_future_is_not_followed(cast: Cast) -> None:
    first = say(cast.room, cast.member)
    Message.objects.filter(pk=first.pk).update(created_at=first.created_at + timedelta(days=300))
    assert say(cast.room, cast.member).created_at < first.created_at + timedelta(hours=1)


@pytest.mark.parametrize("is_many", [False, True])
def test_pages_are_told_of_a_change_by_its_own_number_though_a_receiver_changed_the_room_in_turn(
    cast: Cast, is_many: bool, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Capture
) -> None:
    told = []
    monkeypatch.setattr("apps.live.broadcast.change", lambda topic, seq, render: told.append(seq))

    def describe(room: Room, kind: Kind, **others: object) -> None:
        with change_locked_room(room, DESCRIBED) as change:
            change.room.topic = kind.name

    message = say(cast.room, cast.member)
    messages_changed.connect(describe)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            if is_many:
                parting.delete_all_by(author=cast.member, deleter=cast.owner)
            else:
                say(cast.room, cast.member)
    finally:
        messages_changed.disconnect(describe)
    assert told == [message.seq + 2, message.seq + 1]

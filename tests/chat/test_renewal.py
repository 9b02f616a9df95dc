"""Re-rendering messages after an upgrade."""

from datetime import timedelta
from math import inf

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.chat import rendering, renewal, services
from apps.chat.jobs import renew_messages
from apps.chat.models import Message, Renewal
from apps.core import limits
from apps.core.bounded import Busy, Exceeded
from apps.rooms.models import Room
from tests.conftest import Cast, say

pytestmark = pytest.mark.django_db
OLD = rendering.RENDERER_VERSION - 1


def old_message(cast: Cast, body: str = "*Hello*") -> Message:
    """Return a message as an older version rendered it."""
    message = say(cast.room, cast.member, body)
    Message.objects.filter(pk=message.pk).update(html="<p>old</p>", renderer_version=OLD)
    message.refresh_from_db()
    return message


def go_on() -> None:
    while renewal.go_on():
        pass


def a_day_later() -> None:
    Renewal.objects.update(again_at=timezone.now())


def test_a_message_rendered_by_an_older_version_is_rendered_again(cast: Cast) -> None:
    message = old_message(cast)
    go_on()
    message.refresh_from_db()
    assert (message.html, message.renderer_version) == ('<p dir="auto"><em>Hello</em></p>', OLD + 1)


def test_rendering_again_takes_no_number_and_is_no_edit(cast: Cast) -> None:
    message, last_seq = old_message(cast), Room.objects.get(pk=cast.room.pk).last_seq
    go_on()
    after = Message.objects.get(pk=message.pk)
    assert (after.changed_seq, after.edited_at) == (message.changed_seq, None)
    assert Room.objects.get(pk=cast.room.pk).last_seq == last_seq


def test_deleted_messages_and_those_of_a_newer_version_are_left_alone(cast: Cast) -> None:
    deleted, newer = old_message(cast), old_message(cast)
    services.delete_message(message=deleted, deleter=cast.owner)
    Message.objects.filter(pk=newer.pk).update(renderer_version=OLD + 2)
    go_on()
    assert list(Message.objects.order_by("pk").values_list("html", flat=True)) == ["", "<p>old</p>"]


def test_a_message_edited_during_rendering_keeps_its_new_text(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    message = old_message(cast)

    def edit_and_render(source: str) -> str:
        services.edit_message(message=message, body="new")
        return rendering.to_html_now(source)

    monkeypatch.setattr(renewal, "to_html_when_free", edit_and_render)
    go_on()
    assert "new" in Message.objects.get().html


def test_messages_of_older_processes_are_found_a_day_later_in_a_second_and_last_scan(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    go_on()
    message = old_message(cast)
    go_on()
    message.refresh_from_db()
    assert message.renderer_version == OLD
    a_day_later()
    go_on()
    message.refresh_from_db()
    assert message.renderer_version == OLD + 1
    old_message(cast)
    a_day_later()
    with django_assert_num_queries(1):
        assert not renewal.go_on()


def test_it_continues_where_it_stopped(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [old_message(cast) for _ in range(7)]
    monkeypatch.setattr(limits, "RENEWAL_SECONDS", 0.0)
    monkeypatch.setattr(limits, "RENEWAL_ROWS", 3)
    Renewal.objects.create(version=OLD + 1, next_id=messages[0].pk)
    left = []
    while renewal.go_on():
        left.append(Message.objects.filter(renderer_version=OLD).count())
    assert left == list(range(len(messages) - 1, 0, -1))
    assert not Message.objects.filter(renderer_version=OLD).exists()


def test_several_are_stored_by_one_transaction(cast: Cast, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(limits.RENEWAL_AT_ONCE):
        old_message(cast)
    first, last = Message.objects.order_by("pk").first(), Message.objects.order_by("pk").last()
    assert first
    assert last
    progress = Renewal(version=rendering.RENDERER_VERSION, next_id=first.pk)
    # What is old; and between two for the transaction, what is unchanged, and its HTML.
    with django_assert_num_queries(5):
        renewal.look_through(progress, inf)
    assert progress.next_id > last.pk
    assert not Message.objects.filter(renderer_version=OLD).exists()


def test_if_no_child_process_is_free_messages_stay_as_they_are(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    message = old_message(cast)

    def busy(*arguments: object) -> None:
        raise Busy("no child was free")

    with monkeypatch.context() as patched:
        patched.setattr(rendering.pool, "run", busy)
        assert renewal.go_on()
    message.refresh_from_db()
    assert message.html == "<p>old</p>"
    go_on()
    message.refresh_from_db()
    assert "Hello" in message.html


def test_a_text_that_now_takes_too_long_is_shown_as_typed(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    message = old_message(cast)

    def exceed(*arguments: object) -> None:
        raise Exceeded("too long")

    monkeypatch.setattr(rendering.pool, "run", exceed)
    go_on()
    message.refresh_from_db()
    assert message.html == '<p dir="auto">*Hello*</p>'


def test_a_job_continues_it_every_hour() -> None:
    assert renew_messages.every == timedelta(hours=1)
    assert not renew_messages.in_transaction


def test_a_site_without_messages_has_nothing_to_do(db: None) -> None:
    assert not renewal.go_on()


def test_the_second_scan_is_a_day_after_the_first(db: None) -> None:
    before = timezone.now()
    go_on()
    again_at = Renewal.objects.get().again_at
    assert again_at
    assert timedelta(hours=23) < again_at - before < timedelta(hours=25)

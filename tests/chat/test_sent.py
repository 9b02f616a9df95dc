"""The same id again: only the same text is the same message, even if that has since been changed or deleted."""

import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.chat import services
from apps.chat.models import Message
from apps.chat.sent import keep_digest
from apps.core.errors import Refusal
from tests.conftest import Cast, client_of, say

pytestmark = pytest.mark.django_db

Change = Callable[[Message], Message]


def edited(message: Message) -> Message:
    return services.edit_message(message=message, body="Edited")


def edited_back(message: Message) -> Message:
    return services.edit_message(message=edited(message), body="Sent")


def deleted(message: Message) -> Message:
    assert message.author
    return services.delete_message(message=message, deleter=message.author)


def edited_and_deleted(message: Message) -> Message:
    return deleted(edited(message))


CHANGES = [edited, edited_back, deleted, edited_and_deleted]


def send_again(cast: Cast, message: Message, body: str) -> Message:
    return services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body=body, client_id=message.client_id)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("body", ["Another text", "Edited", "Sent."])
def test_another_text_under_the_id_of_a_changed_message_is_refused(cast: Cast, change: Change, body: str) -> None:
    message = change(say(cast.room, cast.member, "Sent"))
    with pytest.raises(Refusal, match="sent before"):
        send_again(cast, message, body)


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_text_under_the_id_of_a_changed_message_is_that_message(cast: Cast, change: Change) -> None:
    message = change(say(cast.room, cast.member, "Sent"))
    assert send_again(cast, message, "Sent") == message
    assert Message.objects.count() == 1


def test_text_typed_into_a_form_restored_by_back_gets_a_new_id(cast: Cast) -> None:
    client, sent = client_of(cast.member), {"client_id": str(uuid.uuid4())}
    client.post("/rooms/attic/messages/", sent | {"body": "Sent"})
    deleted(Message.objects.get())
    answer = client.post("/rooms/attic/messages/", sent | {"body": "Another text"})
    assert answer.status_code == 422
    composer = answer.context["composer"]
    assert composer.body == "Another text"
    again = client.post("/rooms/attic/messages/", {"body": composer.body, "client_id": str(composer.client_id)})
    assert again.status_code == 303
    assert Message.objects.filter(body="Another text").count() == 1


@pytest.mark.parametrize("change", [edited, deleted])
def test_a_changed_message_without_a_digest_acknowledges_no_other_text(cast: Cast, change: Change) -> None:
    message = change(say(cast.room, cast.member, "Sent"))
    Message.objects.filter(pk=message.pk).update(sent_digest=None)
    with pytest.raises(Refusal, match="sent before"):
        send_again(cast, message, "Another text")


def test_a_message_that_still_has_its_text_keeps_no_digest(cast: Cast) -> None:
    assert say(cast.room, cast.member, "Sent").sent_digest is None


def test_a_deleted_text_cannot_be_guessed_from_its_digest(cast: Cast, settings: Settings) -> None:
    message = deleted(say(cast.room, cast.member, "yes"))
    kept = message.sent_digest
    settings.SECRET_KEY = "another"
    other = Message(client_id=message.client_id, body="yes")
    keep_digest(other)
    assert kept
    assert other.sent_digest != kept


def test_a_text_is_recognised_after_the_sites_key_changed(cast: Cast, settings: Settings) -> None:
    message = deleted(say(cast.room, cast.member, "Sent"))
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "the next key"
    assert send_again(cast, message, "Sent") == message


def test_a_moderators_deletion_is_not_undone_by_sending_again(cast: Cast) -> None:
    message = say(cast.room, cast.member, "Sent")
    services.delete_message(message=message, deleter=cast.moderator)
    assert send_again(cast, message, "Sent").is_deleted


def test_an_edit_takes_no_extra_query_for_the_digest(cast: Cast) -> None:
    message = say(cast.room, cast.member, "Sent")
    counts = []
    for body in ("Edited", "Edited again"):
        with CaptureQueriesContext(connection) as queries:
            services.store_edit(message=message, body=body, html="", version=None)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_process_of_the_previous_version_can_still_write_messages(cast: Cast) -> None:
    # It names its own columns only, as Django does.
    row = say(cast.room, cast.member, "Sent")
    columns = [one.column for one in Message._meta.concrete_fields if one.name not in {"id", "sent_digest"}]
    listed = ", ".join(f'"{column}"' for column in columns)
    chosen = listed.replace('"seq"', "seq + 1").replace('"client_id"', "%s")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO chat_message ({listed}) SELECT {chosen} FROM chat_message WHERE id = %s",
            [uuid.uuid4().hex, row.pk],
        )
    newer = Message.objects.get(seq=row.seq + 1)
    assert (newer.body, newer.sent_digest) == ("Sent", None)

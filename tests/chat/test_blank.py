"""A message with no visible text is refused and its text kept, whichever way it is sent."""

import uuid

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.chat import services
from apps.chat.models import Message
from apps.core.errors import Refusal
from tests.conftest import Cast, client_of, say
from tests.letters import cases

pytestmark = pytest.mark.django_db

REASON = "Nothing of this message would be seen"


@pytest.mark.parametrize(("text", "blank"), cases("messages", "text", "blank"))
def test_only_messages_with_visible_text_are_posted(cast: Cast, text: str, blank: bool) -> None:
    answer = client_of(cast.member).post("/rooms/attic/messages/", {"body": text, "client_id": str(uuid.uuid4())})
    assert answer.status_code == (422 if blank else 303)
    assert Message.objects.exists() is not blank


def test_the_form_keeps_an_invisible_text_and_says_what_to_do(cast: Cast) -> None:
    answer = client_of(cast.member).post("/rooms/attic/messages/", {"body": "> \u200b", "client_id": str(uuid.uuid4())})
    page = answer.content.decode()
    assert REASON in page
    assert "&gt; \u200b</textarea>" in page


def test_htmx_gets_the_reason(cast: Cast) -> None:
    fields = {"body": "> -", "client_id": str(uuid.uuid4())}
    answer = client_of(cast.member).post("/rooms/attic/messages/", fields, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert "<hx-refused" in answer.content.decode()
    assert REASON in answer.content.decode()


@pytest.mark.parametrize(("body", "reason"), [("-", REASON), ("\u3164", "Write something first")])
def test_an_edit_cannot_make_a_message_blank(cast: Cast, body: str, reason: str) -> None:
    message = say(cast.room, cast.member, "Something")
    answer = client_of(cast.member).post(f"/rooms/attic/messages/{message.pk}/edit/", {"body": body})
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    message.refresh_from_db()
    assert message.body == "Something"


def test_an_invisible_message_is_refused_before_the_room_is_locked(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1), pytest.raises(Refusal, match="Nothing"):
        # One query: whether it was posted before.
        services.post_message(
            room_id=cast.room.pk, author_id=cast.member.pk, body=">", html="<p></p>", client_id=uuid.uuid4()
        )


def test_sending_an_old_blank_message_again_is_acknowledged(cast: Cast) -> None:
    """It was stored under older rules; a page that missed the answer is told so and stops sending it."""
    message = say(cast.room, cast.member, "x")
    Message.objects.filter(pk=message.pk).update(body=">", html="<blockquote></blockquote>")
    again = services.post_message(room_id=cast.room.pk, author_id=cast.member.pk, body=">", client_id=message.client_id)
    assert again == message

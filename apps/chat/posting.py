"""Post what a browser sent, by form or by socket: the only path to a stored message."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Protocol, TypeVar

from django.utils.translation import gettext as _

from apps.chat import services
from apps.chat.forms import EditForm, MessageForm
from apps.chat.models import MAX_CHARACTERS, Message
from apps.chat.rendering import to_html
from apps.core.errors import Refusal
from apps.core.kept import clean
from apps.core.turns import refuse_where_held, turn_at
from apps.live.limits import allowance_of
from apps.rooms.models import place_of

T = TypeVar("T")


class InThread(Protocol):
    """Calls a function on a thread that may use the database."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True)
class Composer:
    """What the composer shows: the text, its errors, and an id for the next message."""

    body: str = ""
    errors: list[str] = field(default_factory=list)
    client_id: uuid.UUID = field(default_factory=uuid.uuid4)
    max_characters: ClassVar[int] = MAX_CHARACTERS

    @classmethod
    def refusing(cls, form: MessageForm) -> "Composer":
        """Return the composer after a refusal: it keeps the text, under a new id."""
        body = clean(str(form.data.get("body", "")))
        return cls(body=body, errors=[str(message) for messages in form.errors.values() for message in messages])


async def submit(
    form: MessageForm,
    *,
    room_id: int,
    author_id: int | None,
    may_post: bool,
    in_thread: InThread,
    give_back: Callable[[], Awaitable[None]] | None = None,
) -> Message | None:
    """
    Store the form's message and return it; return None, with errors in the form, if it is refused.

    `author_id` is None if the sender is signed out. `may_post` is what was last known of their rights; if it is False,
    it is checked again before the text is rendered. Rendering blocks no thread.
    `in_thread` runs database work: pages have their own thread, sockets share a pool. `give_back` releases the
    page's connection while the message queues for the room. Raises TooBusyError if the message can't be stored now.
    """
    if not form.is_valid():
        return None
    if author_id is None:
        form.add_error("body", _("Sign in to write here."))
        return None
    body, client_id = form.cleaned_data["body"], form.cleaned_data["client_id"]
    place = place_of(room_id)
    refuse_where_held(place)
    try:
        if not may_post:
            may_post = await in_thread(partial(services.may_post, room_id, author_id))
        html = await html_by(author_id, body) if may_post else None
        post = partial(
            services.post_message, room_id=room_id, author_id=author_id, body=body, client_id=client_id, html=html
        )
        async with turn_at(place, give_back):
            return await in_thread(post)
    except Refusal as error:
        form.add_error("body", str(error))
        return None


async def html_by(author_id: int, body: str) -> str:
    """Render an author's text as HTML: one at a time, so that no author can occupy all child processes."""
    async with allowance_of(author_id).turn():
        return await to_html(body)


def text_of(form: MessageForm | EditForm) -> str:
    """Return the text to count against the sender's allowance; empty if the form is invalid, so nothing is stored."""
    return str(form.cleaned_data["body"]) if form.is_valid() else ""


def busy() -> str:
    """Return the error for a text that can't be stored now, since others hold the room."""
    return _("This room is busy at the moment. Your text is kept: send it again in a few seconds.")


def busy_without_text() -> str:
    """Return the same error for a request without text."""
    return _("This room is busy at the moment. Try again in a few seconds.")


def too_fast() -> str:
    """Return the error for a user whose allowance is used up."""
    return _("You are sending faster than anybody can read. Wait a moment, then send this again.")

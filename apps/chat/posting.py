"""The one way from what a browser sent, by form or by socket, to a stored message."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from django.contrib.auth.models import AnonymousUser
from django.utils.translation import gettext as _

from apps.chat import services
from apps.chat.forms import MessageForm
from apps.chat.models import Message
from apps.chat.rendering import to_html
from apps.rooms.models import Room, type_of_viewer

InThread = Callable[[Callable[[], Message]], Awaitable[Message]]


@dataclass(frozen=True)
class Composer:
    """What the composer shows: the text, what was wrong with it, and an id for the next message."""

    body: str = ""
    errors: list[str] = field(default_factory=list)
    client_id: uuid.UUID = field(default_factory=uuid.uuid4)

    @classmethod
    def refusing(cls, form: MessageForm) -> "Composer":
        """The composer after a refusal: it keeps the text, under a new id."""
        # Half a character cannot be written into a page either.
        body = str(form.data.get("body", "")).encode(errors="ignore").decode().replace("\x00", "")
        return cls(body=body, errors=[str(message) for messages in form.errors.values() for message in messages])


async def submit(
    form: MessageForm, *, room: Room, viewer: type_of_viewer, may_post: bool, in_thread: InThread
) -> Message | None:
    """
    The message that the form asks for, stored; or None, and the form says in its errors why not.

    `may_post` is what was last known of the viewer's rights. For someone who may, the text is rendered first, while
    no thread waits for that; for anyone else the service asks for their rights before any work is done on it.
    `in_thread` calls a function on a thread that may ask the database: a page has one of its own, sockets share some.
    """
    if not form.is_valid():
        return None
    if isinstance(viewer, AnonymousUser):
        form.add_error("body", _("Sign in to write here."))
        return None
    body, client_id = form.cleaned_data["body"], form.cleaned_data["client_id"]
    try:
        html = await to_html(body) if may_post else None
        post = partial(services.post_message, room=room, author=viewer, body=body, html=html, client_id=client_id)
        return await in_thread(post)
    except services.MessageError as error:
        form.add_error("body", str(error))
        return None

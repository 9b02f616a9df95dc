"""Messages as HTML, the same for every viewer: one rendering serves pages, sockets and screen readers."""

from collections.abc import Iterable

from django.template.loader import render_to_string

from apps.chat.forms import MessageForm
from apps.chat.history import Window
from apps.chat.models import Message
from apps.rooms.models import Room


def message(one: Message) -> str:
    """One message, as it stands in the list."""
    return render_to_string("chat/message.html", {"message": one})


def new_messages(messages: Iterable[Message]) -> str:
    """A frame's part that puts messages into the list in order of their numbers, each once."""
    items = "".join(message(one) for one in messages)
    return f'<hx-upsert hx-target="#messages" key="data-seq" sort>{items}</hx-upsert>'


def changed_message(one: Message) -> str:
    """A frame's part that shows a message as it is now, on the pages that have it."""
    return f'<hx-partial hx-target="#message-{one.pk}" hx-swap="outerHTML">{message(one)}</hx-partial>'


def fresh_conversation(room: Room, window: Window) -> str:
    """A frame's part for a page that missed too much to be told piece by piece: the newest messages."""
    return render_to_string("chat/conversation_frame.html", {"room": room, "window": window})


def sent(one: Message) -> str:
    """A frame for the sender alone: the message with this id is stored."""
    return f'<hx-sent client="{one.client_id}" message="{one.pk}" seq="{one.seq}"></hx-sent>'


def stored(one: Message) -> str:
    """The same for who sent it by form, with the message as it is now: their page may hear of none by its socket."""
    return sent(one) + new_messages([one])


def stranger() -> str:
    """For a page whose viewer is not signed in any more, or somebody else is: it keeps what it wanted to send."""
    return "<hx-stranger></hx-stranger>"


def refused(form: MessageForm) -> str:
    """A frame for the sender alone: what was sent is not stored, and why. It names the id only if that is one."""
    context = {"form": form, "client_id": form.cleaned_data.get("client_id", "")}
    return render_to_string("chat/refused_frame.html", context)


def delayed(form: MessageForm) -> str:
    """A frame for the sender alone: what was sent could not be stored now; the page keeps it and sends it again."""
    client_id = form.cleaned_data.get("client_id", "") if hasattr(form, "cleaned_data") else ""
    return f'<hx-delayed client="{client_id}"></hx-delayed>'


def told_off(reason: str) -> str:
    """A frame's last words to a page that sent or opened too much."""
    return render_to_string("rooms/farewell_frame.html", {"reason": reason, "room": None})

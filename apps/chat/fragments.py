"""Render messages as HTML, the same for every viewer: pages, sockets and screen readers share one rendering."""

from collections.abc import Iterable

from django.template.loader import render_to_string

from apps.chat.forms import MessageForm
from apps.chat.history import Window
from apps.chat.models import Message
from apps.rooms.models import Room


def message(one: Message) -> str:
    """Return a message as an item of the list."""
    return render_to_string("chat/message.html", {"message": one})


def new_messages(messages: Iterable[Message]) -> str:
    """Return the part of a frame that inserts messages into the list, in order and each once."""
    items = "".join(message(one) for one in messages)
    return f'<hx-upsert hx-target="#messages" key="data-seq" sort>{items}</hx-upsert>'


def changed_message(one: Message) -> str:
    """Return the part of a frame that replaces a message, on the pages that show it."""
    return f'<hx-partial hx-target="#message-{one.pk}" hx-swap="outerHTML">{message(one)}</hx-partial>'


def fresh_conversation(room: Room, window: Window) -> str:
    """Return the part of a frame that replaces the conversation by the newest messages, after too many changes."""
    return render_to_string("chat/conversation_frame.html", {"room": room, "window": window})


def sent(one: Message) -> str:
    """Return a frame for the sender only: the message with this id is stored."""
    return f'<hx-sent client="{one.client_id}" message="{one.pk}" seq="{one.seq}"></hx-sent>'


def stored(one: Message) -> str:
    """Return the same plus the message, for a sender by form: their page may have no socket that delivers it."""
    return sent(one) + new_messages([one])


def stranger() -> str:
    """Return a frame for a page whose viewer is signed out or replaced by another: it keeps what it tried to send."""
    return "<hx-stranger></hx-stranger>"


def refused(form: MessageForm) -> str:
    """Return a frame for the sender only: the message is not stored, and why. Includes the id only if it is valid."""
    context = {"form": form, "client_id": form.cleaned_data.get("client_id", "")}
    return render_to_string("chat/refused_frame.html", context)


def delayed(form: MessageForm) -> str:
    """Return a frame for the sender only: the message can't be stored now; the page keeps it and resends it."""
    client_id = form.cleaned_data.get("client_id", "") if hasattr(form, "cleaned_data") else ""
    return f'<hx-delayed client="{client_id}"></hx-delayed>'


def told_off(reason: str) -> str:
    """Return the final frame for a page that exceeded a limit."""
    return render_to_string("rooms/farewell_frame.html", {"reason": reason, "room": None})

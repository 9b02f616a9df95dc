"""Render messages as HTML, the same for every viewer: pages, sockets and screen readers share one rendering."""

from collections.abc import Iterable

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.html import escape
from django.utils.translation import gettext

from apps.chat.forms import MessageForm
from apps.chat.history import Window
from apps.chat.models import Message
from apps.chat.shown import ShownMessage, shown
from apps.live.listeners import farewell_alert
from apps.live.parts import Part, Parts, Swap, to_htmx
from apps.rooms import fragments as rooms
from apps.rooms.models import Room


def message(one: Message | ShownMessage) -> str:
    """Return a message as an item of the list."""
    return render_to_string("chat/message.html", {"message": one})


def new_messages(messages: Iterable[Message | ShownMessage]) -> Parts:
    """Return the parts that insert messages into the list, in order and each once."""
    return tuple(part("messages", Swap.UPSERT, one) for one in messages)


def changed_message(one: Message | ShownMessage) -> Parts:
    """Return the part that replaces a message, on the pages that show it."""
    return (part(f"message-{one.pk}", Swap.OUTER, one),)


def part(target: str, swap: Swap, one: Message | ShownMessage) -> Part:
    """Return a part that shows one message."""
    one = shown(one) if isinstance(one, Message) else one
    return Part(target, swap, message(one), one.facts)


def fresh_conversation(room: Room, window: Window) -> Parts:
    """Return the part that replaces the conversation by the newest messages, after too many changes."""
    html = render_to_string("chat/conversation.html", {"room": room, "window": window})
    facts = {"kind": "conversation", "messages": [shown(one).facts for one in window.messages]}
    return (Part("conversation", Swap.INNER, html, facts),)


def sent(one: Message) -> str:
    """Return a frame for the sender only: the message with this id is stored."""
    return f'<hx-sent client="{one.client_id}" message="{one.pk}" seq="{one.seq}"></hx-sent>'


def stored(one: Message) -> str:
    """Return the same plus the message, for a sender by form: their page may have no socket that delivers it."""
    return sent(one) + to_htmx(new_messages([one]))


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


def told_off(reason: str) -> Parts:
    """Return the final parts for a page that exceeded a limit."""
    return rooms.farewell(reason)


def outdated(room: Room, language: str) -> Parts:
    """
    Return the part that asks a page of an older version of the site to reload.

    What is written in the page stays, and is there again when it has reloaded (draft.js). Scripts of all versions leave
    the way on to an element called `farewell`. It isn't put into `#refusal`: the next request empties that, and texts
    that were refused are there.
    """
    with translation.override(language):
        reason = gettext("This site was updated. What you have written stays here when you reload the page.")
        html = render_to_string("chat/outdated.html", {"room": room, "reason": reason})
    return (Part("composer-region", Swap.BEFORE, html), farewell_alert(reason))


def outdated_before_frames_had_versions(language: str) -> Parts:
    """
    Return the same for a page from before frames had a version, which knows less.

    It has no `#refusal` and keeps no draft, but can still send what is written, by form. Once it is closed it would say
    and show that its viewer may no longer read the room; so where it says and shows that is replaced.
    """
    with translation.override(language):
        reason = gettext("This site was updated. Send or copy what you have written, then reload the page.")
    return (
        Part("connection-status", Swap.OUTER, f'<p class="connection-status">{escape(reason)}</p>'),
        Part("announce", Swap.OUTER, '<div class="visually-hidden"></div>'),
        farewell_alert(reason),
    )

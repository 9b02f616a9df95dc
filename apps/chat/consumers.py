"""The WebSocket of an open room page: sends frames, receives messages to post."""

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http import parse_cookie
from django.utils import translation
from django.utils.translation import gettext as _

from apps.accounts import second_factor
from apps.chat import fragments
from apps.chat.entry import enter
from apps.chat.forms import MessageForm
from apps.chat.posting import submit, text_of, too_fast
from apps.core import epoch, limits, shutdown
from apps.core.addresses import client_address, network_of
from apps.core.connections import TOO_MUCH
from apps.core.database import NO_DATABASE
from apps.core.turns import TooBusyError
from apps.live.frames import VERSION
from apps.live.limits import Allowance, allowance_of
from apps.live.lines import line_for
from apps.live.listeners import NO_LONGER_ALLOWED, SIGNED_OUT, Listener, alert
from apps.live.people import topic_of
from apps.live.process import current_process
from apps.live.sources import FROM_SCRATCH
from apps.live.threads import in_thread
from apps.rooms.access import Visit

logger = logging.getLogger(__name__)

# Like those in apps.live.listeners, a close code after which the page stays away (docs/architecture.md).
NO_SUCH_ROOM = 4404

# At least twice the size of the longest message as JSON, in the widest characters.
MAX_FRAME_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page listening to a room. Small: a process holds thousands of them, mostly idle."""

    room_id: int
    listener: Listener
    allowance: Allowance
    # As of when the page connected.
    may_post: bool


class RoomConsumer(AsyncWebsocketConsumer):
    """
    The socket of one page.

    The hub writes to its line directly: a channel per consumer, and a message to each, would cost ten times as much.
    """

    scope: dict[str, Any]
    # No layer has this name, so no channel is opened per socket.
    channel_layer_alias = "none"
    page: OpenPage | None = None
    answering: asyncio.Task[None] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        # Replaces AsyncConsumer's loop, which also waits on a per-consumer channel and costs an extra task.
        self.scope, self.base_send = scope, send
        del scope
        self.unanswered: list[str | None] = []
        self.unanswered_characters = 0
        try:
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            pass
        finally:
            # Not in disconnect(), which is skipped when the server drops a slow socket.
            self.leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Skips AsyncConsumer's hop to Channels' single database thread before every message.
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        """Subscribe the page from the number `since` on, if its viewer may see the room."""
        try:
            # Closing before accepting looks like a network failure to the page, which retries with backoff.
            if shutdown.State.is_shutting_down:
                await self.close()
                return
            async with current_process().hub.doors:
                entry = await in_thread(enter, self.session_key(), self.scope["url_route"]["kwargs"]["slug"])
        except NO_DATABASE as error:
            logger.warning("A page could not connect: the database does not answer: %s", error)
            await self.close()
            return
        # From here on: accept, then close with a code that tells the page whether to reconnect.
        await self.accept()
        query = parse_qs(self.scope["query_string"].decode("ascii", "replace"))
        sign_in, visit = entry.sign_in, entry.visit
        line = self.scope.get("line") or line_for(self.base_send)
        listener = Listener(line, sign_in, language_in(query))
        if entry.is_barred:
            listener.end(NO_LONGER_ALLOWED, alert(second_factor.NEEDED, listener.language))
        elif visit is None:
            await self.close(SIGNED_OUT if sign_in.user_id is None else NO_SUCH_ROOM)
        elif query.get("viewer", [str(sign_in.user_id)])[-1] != str(sign_in.user_id):
            # The page was rendered for another user, who signed out in another tab.
            await self.close(SIGNED_OUT)
        elif "frames" not in query:
            listener.end(NO_LONGER_ALLOWED, fragments.outdated_before_frames_had_versions(listener.language))
        elif query["frames"][-1] != str(VERSION):
            listener.end(NO_LONGER_ALLOWED, fragments.outdated(visit.room, listener.language))
        else:
            await self.join(visit, listener, since_in(query, visit.room.last_seq))

    def session_key(self) -> str | None:
        """Return the session key from the browser's cookie."""
        headers: dict[bytes, bytes] = dict(self.scope["headers"])
        return parse_cookie(headers.get(b"cookie", b"").decode("latin1")).get(settings.SESSION_COOKIE_NAME)

    async def join(self, visit: Visit, listener: Listener, since: int) -> None:
        """Subscribe the page to the room, unless too many of the viewer's sockets are open."""
        user_id = listener.sign_in.user_id
        allowance = allowance_of(network_of(client_address(self.scope)) if user_id is None else user_id)
        most = limits.MAX_SOCKETS_OF_GUESTS if user_id is None else limits.MAX_SOCKETS_OF_A_PERSON
        if allowance.sockets >= most:
            with translation.override(listener.language):
                listener.end(TOO_MUCH, fragments.told_off(too_many_pages(user_id)))
            return
        allowance.sockets += 1
        self.page = OpenPage(visit.room.pk, listener, allowance, visit.may_post)
        # Frees the handshake's data, which would otherwise live as long as the socket.
        self.scope = {"type": "websocket"}
        head = visit.room.last_seq
        try:
            process = current_process()
            await process.hub.join(listener, visit.room.live_topic, since=since, head=head)
            if user_id is not None and not listener.is_ended:
                await process.hub.join(listener, topic_of(user_id), since=0, head=0)
                process.hear_news([], [user_id])
        except NO_DATABASE as error:
            logger.warning("A page could not be told what it missed: %s", error)
            await self.close()

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Queue a frame until its sender may post; close a page that sends too much without waiting for replies."""
        page, text = self.page, message.get("text")
        if page is None or page.listener.is_ended:
            return
        self.unanswered.append(text)
        self.unanswered_characters += len(text or "")
        too_many = len(self.unanswered) > limits.MAX_UNANSWERED
        if too_many or self.unanswered_characters > limits.MAX_UNANSWERED_CHARACTERS:
            self.unanswered.clear()
            with translation.override(page.listener.language):
                reason = _("This page sent too much at once and was closed. Wait a moment, then reload it.")
                html = fragments.told_off(reason)
            self.leave()
            page.listener.end(TOO_MUCH, html)
        elif self.answering is None:
            self.answering = asyncio.create_task(self.answer(page))

    async def answer(self, page: OpenPage) -> None:
        """Post the queued messages, in order."""
        try:
            with shutdown.work():
                while self.unanswered and not page.listener.is_ended:
                    text = self.unanswered.pop(0)
                    self.unanswered_characters -= len(text or "")
                    page.listener.show(await answer_to(text, page))
        finally:
            self.answering = None

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """Finish posting what the page sent before it disconnected."""
        if self.answering:
            await self.answering
        raise StopConsumer

    def leave(self) -> None:
        """Unsubscribe the page."""
        if self.page:
            current_process().hub.leave(self.page.listener)
            self.page.allowance.sockets -= 1
            self.page = None


async def answer_to(text: str | None, page: OpenPage) -> str:
    """Post a message from the composer's form; return the frame that reports the result to the sender."""
    form = MessageForm(read_fields(text))
    try:
        with translation.override(page.listener.language):
            if not await page.allowance.admits(text_of(form)):
                form.add_error("body", too_fast())
                return fragments.refused(form)
            message = await submit(
                form,
                room_id=page.room_id,
                author_id=page.listener.sign_in.user_id,
                may_post=page.may_post,
                in_thread=in_thread,
            )
            return fragments.sent(message) if message else fragments.refused(form)
    except TooBusyError:
        # That the room is held is logged once, not for each message.
        return fragments.delayed(form)
    except NO_DATABASE as error:
        logger.warning("A message could not be stored: the database does not answer: %s", error)
        return fragments.delayed(form)
    except Exception:
        # The page keeps the text and resends it; the socket stays open, and its other messages are still posted.
        logger.exception("A message could not be stored")
        return fragments.delayed(form)


def too_many_pages(user_id: int | None) -> str:
    """Return what to tell a viewer who may open no more pages."""
    if user_id is None:
        return _(
            "Too many people are reading here from your network without signing in. Sign in, or reload this page later."
        )
    return _("You have too many pages open. Close some and reload this one.")


def since_in(query: dict[str, list[str]], head: int) -> int:
    """
    Return the number that the page has reached; 0 if it is missing or malformed.

    Return FROM_SCRATCH if the database was rolled back: the page is ahead of it, or was loaded in another epoch.
    """
    since = query.get("since", ["0"])[-1]
    number = int(since) if since.isascii() and since.isdecimal() and len(since) < 19 else 0
    told = query.get("epoch", [""])[-1]
    if number > head or (told and epoch.State.epoch and told != epoch.State.epoch):
        current_process().watch.look_soon()
        return FROM_SCRATCH
    return number


def language_in(query: dict[str, list[str]]) -> str:
    """Return the page's language, which its frames must use."""
    language = query.get("language", [""])[-1]
    return language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def read_fields(text: str | None) -> dict[str, Any]:
    """Return the form fields in a frame sent by htmx; empty if the frame is invalid."""
    if text is None or len(text) > MAX_FRAME_BYTES or len(text.encode(errors="replace")) > MAX_FRAME_BYTES:
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if isinstance(value, str)}

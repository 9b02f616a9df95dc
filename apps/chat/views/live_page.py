"""The live view, for reading without scripts."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import translation
from django.views.decorators.http import require_safe

from apps.accounts.sign_ins import SignIn
from apps.chat import history, reading
from apps.chat.entry import enter
from apps.chat.live_view import HEARTBEAT, Stream, can_patch, style_of
from apps.chat.posting import Composer
from apps.core.addresses import client_address
from apps.core.answers import FRAMED_BY_OURSELVES
from apps.core.database import NO_DATABASE, give_back_thread
from apps.core.requests import is_ahead
from apps.core.turns import MARKS, TooBusyError, turn_at
from apps.live.listeners import COME_BACK, Listener
from apps.live.process import current_process
from apps.live.response_lines import StreamLine, connection_of
from apps.live.seats import give_seat_back, keep_seat, take_seat
from apps.live.threads import in_thread
from apps.rooms.access import NoSuchRoom, Visit, room_for

logger = logging.getLogger(__name__)

# How long one page lasts, and how often it sends a heartbeat.
LIFE_SECONDS = 15 * 60.0
HEARTBEAT_SECONDS = 15.0
# The page also ends after this: we can't tell how much of it the browser has read.
MAX_PAGE_CHARACTERS = 4 * 1024 * 1024


@require_safe
async def live_view(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Show the conversation in a page that keeps growing. It ends after a while, with a link to continue."""
    entry = await in_thread(enter, request.session.session_key, slug)
    visit = entry.visit
    if visit is None:
        raise NoSuchRoom
    if visit.room.slug != slug:
        return redirect("live_view", slug=visit.room.slug, permanent=True)
    if request.method == "HEAD":
        return HttpResponse()
    if is_ahead(request):
        # A prefetched live view would not end, and would count as read.
        return HttpResponse(status=503, headers={"Cache-Control": "no-store"})
    seat = await take_seat(entry.sign_in.user_id, client_address(request))
    if seat is None:
        return await sync_to_async(render)(request, "chat/stream_refused.html", {"room": visit.room}, status=429)
    patches = can_patch(request.headers.get("User-Agent", ""))
    stream = Stream(visit, style_of(visit.viewer, patches=patches, language=translation.get_language()))
    try:
        beginning = await sync_to_async(first_part)(request, stream)
    except BaseException:
        await give_seat_back(seat)
        raise
    body = show(stream, entry.sign_in, seat, beginning, getattr(request, "scope", {}).get("send"))
    return StreamingHttpResponse(body, headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})


def first_part(request: HttpRequest, stream: Stream) -> str:
    """Render the page as first shown, up to where messages are appended."""
    room = stream.visit.room
    window = history.newest(room)
    if window.messages:
        stream.oldest, stream.newest = window.messages[0].seq, window.messages[-1].seq
    if stream.visit.is_member and window.messages:
        with suppress(TooBusyError):
            reading.mark_read(room=room, user=stream.visit.member, seq=stream.newest)
    template = "chat/stream_patched.html" if stream.style.patches else "chat/stream_appended.html"
    context = {"visit": stream.visit, "room": room, "window": window}
    return render_to_string(template, context, request=request)


async def show(stream: Stream, sign_in: SignIn, seat: str, beginning: str, send: object) -> AsyncIterator[str]:
    """Yield the page as it grows. If `send` has a connection, the hub writes to that directly, past this generator."""
    room, hub, language = stream.visit.room, current_process().hub, stream.style.language
    read = stream.newest
    joining, listener = None, None
    try:
        give_back_thread()
        yield beginning
        del beginning
        # Django keeps a reference to the last chunk: let it be this one, not the whole page.
        yield HEARTBEAT
        line = StreamLine(stream.more, connection_of(send), MAX_PAGE_CHARACTERS)
        listener = Listener(line, sign_in, language)
        # Concurrent with reading: a long catch-up waits for the reader.
        joining = asyncio.create_task(hub.join(listener, room.live_topic, since=room.last_seq, head=room.last_seq))
        joining.add_done_callback(lambda done: close_where_it_failed(done, line))
        now = time.monotonic()
        ends_at, looks_at = now + LIFE_SECONDS, now + HEARTBEAT_SECONDS
        while line.left > 0 and now < ends_at:
            text = await line.read(min(HEARTBEAT_SECONDS, ends_at - now))
            if text is None:
                break
            yield text or HEARTBEAT
            now = time.monotonic()
            if now >= looks_at:
                looks_at = now + HEARTBEAT_SECONDS
                await keep_seat(seat)
                read = await note_read(stream, read)
        # Leave first, so that nothing is written after the end.
        hub.leave(listener)
        yield stream.ending(timed_out=line.code is None)
    finally:
        if joining and listener:
            joining.cancel()
            hub.leave(listener)
        await asyncio.shield(end(stream, read, seat))


async def end(stream: Stream, read: int, seat: str) -> None:
    """Release the page's seat, and save the read position."""
    await give_seat_back(seat)
    await note_read(stream, read)


def close_where_it_failed(joining: asyncio.Task[None], line: StreamLine) -> None:
    """Close a page that could not join the hub; its reader can reload it."""
    if not joining.cancelled() and (error := joining.exception()):
        logger.warning("A live view could not listen: %s", error)
        line.close(COME_BACK)


async def note_read(stream: Stream, read: int) -> int:
    """Save the read position if it has advanced past `read`; return the saved position."""
    if stream.newest <= read or not stream.visit.is_member:
        return read
    seq = stream.newest
    try:
        async with turn_at(MARKS):
            await in_thread(mark_read, stream.visit, seq)
    except NoSuchRoom:
        return read  # the viewer lost access: nothing to save
    except TooBusyError:
        return read  # saved later
    except NO_DATABASE as error:
        logger.warning("How far a live view was read is kept later: %s", error)
        return read
    return seq


def mark_read(visit: Visit, seq: int) -> None:
    """Save the read position."""
    room = room_for(visit.viewer, visit.room.slug).room
    reading.mark_read(room=room, user=visit.member, seq=seq)


@require_safe
async def composer_frame(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the composer alone, for a frame: posting in it doesn't reload the page around it."""
    visit = await sync_to_async(room_for)(request.user, slug)
    if not visit.may_post:
        raise NoSuchRoom
    return await sync_to_async(render_composer_frame)(request, visit, Composer())


def render_composer_frame(request: HttpRequest, visit: Visit, composer: Composer, status: int = 200) -> HttpResponse:
    """Render the page inside the frame."""
    context = {"visit": visit, "room": visit.room, "composer": composer, "is_sent": "sent" in request.GET}
    response = render(request, "chat/composer_frame.html", context, status=status)
    setattr(response, FRAMED_BY_OURSELVES, True)
    return response

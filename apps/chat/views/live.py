"""Reading live without scripts."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

from allauth.account.adapter import get_adapter
from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import translation
from django.views.decorators.http import require_safe

from apps.accounts.sign_ins import SignIn
from apps.chat import history, reading
from apps.chat.entry import enter
from apps.chat.posting import Composer
from apps.chat.streaming import HEARTBEAT, Stream, can_patch
from apps.core.database import give_back_thread
from apps.core.middleware import FRAMED_BY_OURSELVES
from apps.live import limits
from apps.live.hub import current_hub
from apps.live.listeners import COME_BACK, Listener
from apps.live.sources import in_language
from apps.live.streams import StreamLine
from apps.live.threads import in_thread
from apps.rooms.access import Visit, room_for

logger = logging.getLogger(__name__)

# How long one page lasts, and how often it shows a sign of life, in seconds.
LIFE = 15 * 60.0
PAUSE = 15.0
# Characters after which it ends as well: nobody knows how much of it the browser has read.
MOST_CHARACTERS = 4 * 1024 * 1024


@require_safe
async def live_view(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The conversation, which goes on while the page is open. It ends after a while, with a link to go on."""
    entry = await in_thread(enter, request.session.session_key, slug)
    visit, address = entry.visit, get_adapter(request).get_client_ip(request)
    if visit is None:
        raise Http404
    if visit.room.slug != slug:
        return redirect("live_view", slug=visit.room.slug, permanent=True)
    if not limits.may_stream(entry.sign_in.user_id, address):
        return await sync_to_async(render)(request, "chat/stream_refused.html", {"room": visit.room}, status=429)
    stream = Stream(visit, patches=can_patch(request.headers.get("User-Agent", "")))
    beginning = await sync_to_async(first_part)(request, stream)
    if request.method == "HEAD":
        return HttpResponse()
    body = show(stream, entry.sign_in, address, translation.get_language(), beginning)
    return StreamingHttpResponse(body, headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})


def first_part(request: HttpRequest, stream: Stream) -> str:
    """The page as it stands when it is opened, up to where more is added."""
    room = stream.visit.room
    window = history.newest(room)
    for message in window.messages:
        stream.note(message.pk, message.seq)
    if stream.visit.is_member and window.messages:
        reading.mark_read(room=room, user=stream.visit.member, seq=stream.newest)
    template = "chat/stream_patched.html" if stream.patches else "chat/stream_appended.html"
    context = {"visit": stream.visit, "room": room, "window": window}
    return render_to_string(template, context, request=request)


async def show(stream: Stream, sign_in: SignIn, address: str, language: str, beginning: str) -> AsyncIterator[str]:
    """The page, as it grows."""
    line = StreamLine()
    listener = Listener(line, sign_in, language)
    room, hub = stream.visit.room, current_hub()
    topic = in_language(room.live_topic, language)
    ends_at, left, read = time.monotonic() + LIFE, MOST_CHARACTERS, stream.newest
    frames: str | None = ""
    with limits.one_stream(sign_in.user_id, address):
        give_back_thread()
        yield beginning
        del beginning
        try:
            # Beside the reading, which joining waits for where much was missed.
            joining = asyncio.create_task(hub.join(listener, topic, since=room.last_seq, head=room.last_seq))
            joining.add_done_callback(lambda done: close_where_it_failed(done, line))
            while left > 0 and (patience := min(PAUSE, ends_at - time.monotonic())) > 0:
                frames = await line.read(patience)
                if frames is None:
                    break
                with translation.override(language):
                    text = stream.more(frames) if frames else HEARTBEAT
                left -= len(text)
                yield text
                if not frames and stream.newest > read:
                    read = stream.newest
                    await in_thread(note_read, stream.visit, read)
            with translation.override(language):
                yield stream.ending(timed_out=frames is not None)
        finally:
            joining.cancel()
            hub.leave(listener, topic)
            if stream.newest > read:
                await asyncio.shield(in_thread(note_read, stream.visit, stream.newest))


def close_where_it_failed(joining: asyncio.Task[None], line: StreamLine) -> None:
    """A page that could not be told what it missed ends, and its reader comes again."""
    if not joining.cancelled() and (error := joining.exception()):
        logger.warning("A live view could not listen: %s", error)
        line.close(COME_BACK)


def note_read(visit: Visit, seq: int) -> None:
    """Keep how far the reader has come."""
    if visit.is_member:
        room = room_for(visit.viewer, visit.room.slug).room
        reading.mark_read(room=room, user=visit.member, seq=seq)


@require_safe
async def composer_frame(request: HttpRequest, slug: str) -> HttpResponse:
    """The composer by itself: posting in it leaves the page around it as it is."""
    visit = await sync_to_async(room_for)(request.user, slug)
    if not visit.may_post:
        raise Http404
    return await sync_to_async(render_composer_frame)(request, visit, Composer())


def render_composer_frame(request: HttpRequest, visit: Visit, composer: Composer, status: int = 200) -> HttpResponse:
    """The page inside the frame."""
    context = {"visit": visit, "room": visit.room, "composer": composer, "is_sent": "sent" in request.GET}
    response = render(request, "chat/composer_frame.html", context, status=status)
    setattr(response, FRAMED_BY_OURSELVES, True)
    return response

"""A room's conversation as pages. Async: a process serves these beside thousands of sockets."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlencode

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import User
from apps.accounts.viewer import Viewer
from apps.chat import fragments, history, reading
from apps.chat.forms import MessageForm, ReadForm
from apps.chat.models import Message
from apps.chat.posting import Composer, busy, busy_without_text, submit, text_of, too_fast
from apps.chat.views.live_page import render_composer_frame
from apps.core import epoch
from apps.core.answers import MARK, fragments_for_htmx, retried_soon, see_other
from apps.core.requests import HtmxRequest, is_ahead
from apps.core.turns import MARKS, TooBusyError, give_connection_back, turn_at
from apps.core.views import signed_out
from apps.live.limits import allowance_of
from apps.rooms.access import Visit, room_for
from apps.rooms.fragments import ListedMember, listed_members, unlisted_count
from apps.rooms.models import Room
from apps.rooms.views.rooms import rooms_of

T = TypeVar("T")

# The cookie that a page sets for a week where its scripts run.
SCRIPTS_RUN = "scripts"


@dataclass(frozen=True)
class RoomPage:
    """All that a room's page shows, loaded in one trip to the database's thread."""

    visit: Visit
    window: history.Window
    members: list[ListedMember]
    navigation_rooms: list[Room]
    first_unread: Message | None

    @property
    def shows_first_unread(self) -> bool:
        """Whether the line above the first unread message stands in this page."""
        return self.first_unread in self.window.messages

    @property
    def first_unread_address(self) -> str:
        """Where the first unread message is to be seen: on this page, or on another."""
        if self.first_unread is None or self.shows_first_unread:
            return "#first-unread"
        return f"{self.visit.room.get_absolute_url()}?at={self.first_unread.seq}#message-{self.first_unread.pk}"

    @property
    def socket_address(self) -> str:
        """Where the page's socket connects: what it has, for whom, and in which language."""
        room, viewer = self.visit.room, self.visit.viewer
        query: dict[str, object] = {"since": room.last_seq}
        if viewer.is_authenticated:
            query["viewer"] = viewer.pk
        query["language"] = get_language()
        if epoch.State.epoch:
            query["epoch"] = epoch.State.epoch
        return f"/ws/rooms/{quote(room.slug)}/?{urlencode(query)}"


def load_room_page(viewer: Viewer, slug: str, query: QueryDict, *, is_read: bool = False) -> RoomPage:
    """The page of a room that the viewer may see; `is_read`: what it shows counts as read then. Raises NoSuchRoom."""
    visit = room_for(viewer, slug, counts_unread=True)
    window = history.window(visit.room, history.WindowForm(query))
    page = RoomPage(
        visit=visit,
        window=window,
        members=listed_members(visit.room),
        navigation_rooms=rooms_of(viewer),
        first_unread=reading.first_unread(visit),
    )
    if is_read and page.first_unread and window.messages:
        # The page is shown all the same.
        with suppress(TooBusyError):
            reading.mark_read(room=visit.room, user=visit.member, seq=window.messages[-1].seq)
    return page


def render_room_page(request: HttpRequest, page: RoomPage, composer: Composer, status: int = 200) -> HttpResponse:
    """The whole page."""
    context = {
        "page": page,
        "visit": page.visit,
        "room": page.visit.room,
        "window": page.window,
        "members": page.members,
        "unlisted_count": unlisted_count(page.visit.room),
        "navigation_rooms": page.navigation_rooms,
        "composer": composer,
        "unread_in_title": 0 if composer.errors else page.visit.unread_count,
    }
    return render(request, "chat/room.html", context, status=status)


@require_safe
@fragments_for_htmx
async def room(request: HtmxRequest, slug: str) -> HttpResponse:
    """The conversation: its newest stretch, or the one that `before`, `after` or `at` asks for."""
    # With scripts the page itself tells what was in view (reading.js).
    is_read = not (request.htmx or SCRIPTS_RUN in request.COOKIES or request.method == "HEAD" or is_ahead(request))
    page = await sync_to_async(load_room_page)(request.user, slug, request.GET, is_read=is_read)
    if page.visit.room.slug != slug:
        return redirect(with_query(page.visit.room.get_absolute_url(), request), permanent=True)
    # On a thread: a page of messages takes some 10 ms to render, and on the event loop all sockets would wait.
    if request.htmx:
        context = {"room": page.visit.room, "window": page.window}
        return await sync_to_async(render)(request, "chat/older_frame.html", context)
    return await sync_to_async(render_room_page)(request, page, Composer())


def with_query(url: str, request: HttpRequest) -> str:
    """`url` with the query string that the request came with."""
    query = request.GET.urlencode()
    return f"{url}?{query}" if query else url


@require_POST
async def read(request: HtmxRequest, slug: str) -> HttpResponse:
    """Note how far the viewer has read: the number of the last message that was in view."""
    visit = await sync_to_async(room_for)(request.user, slug)
    if not visit.is_member or not is_for_viewer(request):
        raise PermissionDenied
    form = ReadForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=422)
    marks = allowance_of(visit.member.pk).marks
    if marks.take():
        # The page's next note says this too.
        marks.give_back()
        return HttpResponse(too_fast(), status=429, content_type="text/plain")
    try:
        async with turn_at(MARKS, give_pages_connection_back):
            await sync_to_async(reading.mark_read)(room=visit.room, user=visit.member, seq=form.cleaned_data["seq"])
    except TooBusyError:
        return soon(HttpResponse(busy_without_text(), status=503, content_type="text/plain"))
    return HttpResponse(status=204, headers={MARK: "done"})


@require_POST
@fragments_for_htmx
async def post(request: HtmxRequest, slug: str) -> HttpResponse:
    """Say something: a plain form leads back to the room, htmx gets the frame that a socket would get."""
    is_ours = is_for_viewer(request)
    if request.htmx and not (request.user.is_authenticated and is_ours):
        return HttpResponse(fragments.stranger(), status=403)
    if not request.user.is_authenticated:
        return signed_out(request)
    visit = await sync_to_async(room_for)(request.user, slug)
    form = MessageForm(request.POST)
    if is_ours:
        message, status = await stored(visit, form)
    else:
        form.add_error("body", somebody_else(request.user))
        message, status = None, 422
    if request.htmx:
        return await frame_after_posting(form, message, status)
    if "frame" in request.POST:
        if message:
            return see_other(f"{reverse('composer_frame', args=[visit.room.slug])}?sent")
        return soon(await sync_to_async(render_composer_frame)(request, visit, Composer.refusing(form), status))
    if message:
        return see_other(f"{visit.room.get_absolute_url()}#message-{message.pk}")
    page = await sync_to_async(load_room_page)(request.user, slug, QueryDict())
    return soon(await sync_to_async(render_room_page)(request, page, Composer.refusing(form), status))


async def stored(visit: Visit, form: MessageForm) -> tuple[Message | None, int]:
    """What the form asks for; or None, and the status of an answer that says why not."""
    if not await allowance_of(visit.member.pk).admits(text_of(form)):
        form.add_error("body", too_fast())
        return None, 429
    try:
        message = await submit(
            form,
            room_id=visit.room.pk,
            author_id=visit.member.pk,
            may_post=visit.may_post,
            in_thread=on_this_pages_thread,
            give_back=give_pages_connection_back,
        )
    except TooBusyError:
        form.add_error("body", busy())
        return None, 503
    return message, 422


async def frame_after_posting(form: MessageForm, message: Message | None, status: int) -> HttpResponse:
    """What a socket would say."""
    if message:
        return HttpResponse(await sync_to_async(fragments.stored)(message))
    if status == 503:
        return soon(HttpResponse(fragments.delayed(form), status=status))
    return HttpResponse(fragments.refused(form), status=status)


def is_for_viewer(request: HttpRequest) -> bool:
    """Whether the page that sends this was made for who is signed in now, as far as it says for whom."""
    return request.POST.get("viewer") in {None, "", str(request.user.pk)}


def somebody_else(user: User) -> str:
    """What somebody is told who sends what was written in this browser when another was signed in."""
    name = {"name": user.username}
    return _("You are signed in as %(name)s now. Send this again to post it under that name.") % name


async def on_this_pages_thread(function: Callable[[], T]) -> T:
    """What the function returns, called on the thread that Django keeps for the request's database work."""
    return await sync_to_async(function)()


async def give_pages_connection_back() -> None:
    """Let others have the connection of that thread while the page waits for something else."""
    await sync_to_async(give_connection_back)()


def soon(response: HttpResponse) -> HttpResponse:
    """The same response; where it says that the room is busy, it says when to come again."""
    if response.status_code == 503:
        retried_soon(response)
        # The log says once that the room is held; Django would say so for each request.
        response._has_been_logged = True  # type: ignore[attr-defined]
    return response

"""A room's conversation as pages. Async, since a process serves them alongside thousands of sockets."""

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
from apps.live.frames import VERSION
from apps.live.limits import allowance_of
from apps.rooms.access import Visit, room_for
from apps.rooms.fragments import ListedMember, listed_members, unlisted_count
from apps.rooms.models import Room
from apps.rooms.navigation import rooms_of

T = TypeVar("T")

# The cookie that a page's scripts set for a week.
SCRIPTS_RUN = "scripts"


@dataclass(frozen=True)
class RoomPage:
    """Everything that a room's page shows, loaded in one call to the database thread."""

    visit: Visit
    window: history.Window
    members: list[ListedMember]
    navigation_rooms: list[Room]
    first_unread: Message | None

    @property
    def shows_first_unread(self) -> bool:
        """Whether this page includes the first unread message, and so the line above it."""
        return self.first_unread in self.window.messages

    @property
    def first_unread_address(self) -> str:
        """The URL of the first unread message, on this page or another."""
        if self.first_unread is None or self.shows_first_unread:
            return "#first-unread"
        return f"{self.visit.room.get_absolute_url()}?at={self.first_unread.seq}#message-{self.first_unread.pk}"

    @property
    def socket_address(self) -> str:
        """The URL of the page's socket, with its version of frames, number, viewer, language and epoch."""
        room, viewer = self.visit.room, self.visit.viewer
        query: dict[str, object] = {"frames": VERSION, "since": room.last_seq}
        if viewer.is_authenticated:
            query["viewer"] = viewer.pk
        query["language"] = get_language()
        if epoch.State.epoch:
            query["epoch"] = epoch.State.epoch
        return f"/ws/rooms/{quote(room.slug)}/?{urlencode(query)}"


def load_room_page(viewer: Viewer, slug: str, query: QueryDict, *, is_read: bool = False) -> RoomPage:
    """Load the page of a room that the viewer may see; with `is_read`, mark it as read. Raises NoSuchRoom."""
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
        # If the position can't be saved now, the page is shown anyway.
        with suppress(TooBusyError):
            reading.mark_read(room=visit.room, user=visit.member, seq=window.messages[-1].seq)
    return page


def render_room_page(request: HttpRequest, page: RoomPage, composer: Composer, status: int = 200) -> HttpResponse:
    """Render the whole page."""
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
    """Show the conversation: the newest messages, or those that `before`, `after` or `at` asks for."""
    # With scripts, the page reports what was in view (reading.js).
    is_read = not (request.htmx or SCRIPTS_RUN in request.COOKIES or request.method == "HEAD" or is_ahead(request))
    page = await sync_to_async(load_room_page)(request.user, slug, request.GET, is_read=is_read)
    if page.visit.room.slug != slug:
        return redirect(with_query(page.visit.room.get_absolute_url(), request), permanent=True)
    # Rendered in a thread: 10 ms on the event loop would stall every socket.
    if request.htmx:
        context = {"room": page.visit.room, "window": page.window}
        return await sync_to_async(render)(request, "chat/older_frame.html", context)
    return await sync_to_async(render_room_page)(request, page, Composer())


def with_query(url: str, request: HttpRequest) -> str:
    """Return `url` with the request's query string."""
    query = request.GET.urlencode()
    return f"{url}?{query}" if query else url


@require_POST
async def read(request: HtmxRequest, slug: str) -> HttpResponse:
    """Save the viewer's read position: the number of the last message that was in view."""
    visit = await sync_to_async(room_for)(request.user, slug)
    if not visit.is_member or not is_for_viewer(request):
        raise PermissionDenied
    form = ReadForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=422)
    marks = allowance_of(visit.member.pk).marks
    if marks.take():
        # The page's next request includes this one.
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
    """Post a message: a plain form redirects to the room, htmx gets the frame that a socket would get."""
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
        form.add_error("body", someone_else(request.user))
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
    """Return the form's message, stored, or None; and the status of a response that shows the form's errors."""
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
    """Return a response with the frame that a socket would get."""
    if message:
        return HttpResponse(await sync_to_async(fragments.stored)(message))
    if status == 503:
        return soon(HttpResponse(fragments.delayed(form), status=status))
    return HttpResponse(fragments.refused(form), status=status)


def is_for_viewer(request: HttpRequest) -> bool:
    """Return whether the sending page was rendered for the current user; True if it doesn't say."""
    return request.POST.get("viewer") in {None, "", str(request.user.pk)}


def someone_else(user: User) -> str:
    """Return the error for a message that was written while another user was signed in."""
    name = {"name": user.username}
    return _("You are signed in as %(name)s now. Send this again to post it under that name.") % name


async def on_this_pages_thread(function: Callable[[], T]) -> T:
    """Call a function on the request's database thread."""
    return await sync_to_async(function)()


async def give_pages_connection_back() -> None:
    """Release the database connection of that thread while the request waits."""
    await sync_to_async(give_connection_back)()


def soon(response: HttpResponse) -> HttpResponse:
    """Return the response; a 503 gets Retry-After."""
    if response.status_code == 503:
        retried_soon(response)
        # That the room is held is logged once; Django would log each response.
        response._has_been_logged = True  # type: ignore[attr-defined]
    return response

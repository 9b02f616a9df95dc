"""A room's conversation as pages. Async: a process serves these beside thousands of sockets."""

import asyncio
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import trigger_client_event

from apps.accounts.models import User
from apps.chat import fragments, history, services
from apps.chat.forms import EditForm, MessageForm
from apps.chat.models import Message
from apps.chat.posting import Composer, submit
from apps.core.requests import HtmxRequest
from apps.live.limits import LONGEST_WAIT, allowance_of
from apps.rooms.access import Visit, room_for
from apps.rooms.fragments import MOST_LISTED_MEMBERS, ListedMember, listed_members
from apps.rooms.models import Room, type_of_viewer
from apps.rooms.views.rooms import rooms_of


@dataclass(frozen=True)
class RoomPage:
    """All that a room's page shows, loaded in one trip to the database's thread."""

    visit: Visit
    window: history.Window
    members: list[ListedMember]
    navigation_rooms: list[Room]


def load_room_page(viewer: type_of_viewer, slug: str, query: QueryDict) -> RoomPage:
    """The page of a room that the viewer may see. Raises Http404."""
    visit = room_for(viewer, slug)
    return RoomPage(
        visit=visit,
        window=history.window(visit.room, history.WindowForm(query)),
        members=listed_members(visit.room),
        navigation_rooms=rooms_of(viewer),
    )


def render_room_page(request: HttpRequest, page: RoomPage, composer: Composer, status: int = 200) -> HttpResponse:
    """The whole page."""
    context = {
        "page": page,
        "visit": page.visit,
        "room": page.visit.room,
        "window": page.window,
        "members": page.members,
        "most_listed": MOST_LISTED_MEMBERS,
        "navigation_rooms": page.navigation_rooms,
        "composer": composer,
    }
    return render(request, "chat/room.html", context, status=status)


@require_safe
@vary_on_headers("HX-Request")
async def room(request: HtmxRequest, slug: str) -> HttpResponse:
    """The conversation: its newest stretch, or the one that `before`, `after` or `at` asks for."""
    page = await sync_to_async(load_room_page)(request.user, slug, request.GET)
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
async def post(request: HtmxRequest, slug: str) -> HttpResponse:
    """Say something: a plain form leads back to the room, htmx gets the frame that a socket would get."""
    if not request.user.is_authenticated:
        return keep_for_after_signing_in(request, slug)
    visit = await sync_to_async(room_for)(request.user, slug)
    form = MessageForm(request.POST)
    status, message = 422, None
    if await may_post_now(request.user):
        message = await sync_to_async(submit)(form, room=visit.room, viewer=request.user)
    else:
        status = 429
        form.add_error("body", "You are sending faster than anybody can read. Wait a moment, then send this again.")
    if request.htmx:
        if message:
            return HttpResponse(fragments.sent(message))
        return HttpResponse(fragments.refused(form), status=status)
    if message:
        return see_other(f"{visit.room.get_absolute_url()}#message-{message.pk}")
    page = await sync_to_async(load_room_page)(request.user, slug, QueryDict())
    return await sync_to_async(render_room_page)(request, page, Composer.refusing(form), status)


async def may_post_now(user: User) -> bool:
    """True, perhaps after a pause, unless the person has been posting much faster than anybody writes."""
    allowance = allowance_of(user.pk)
    wait = allowance.take()
    if wait > LONGEST_WAIT:
        allowance.give_back()
        return False
    if wait:
        await asyncio.sleep(wait)
    return True


def keep_for_after_signing_in(request: HttpRequest, slug: str) -> HttpResponse:
    """What somebody wrote whose session had ended, to be copied. The same for rooms that do not exist."""
    context = {"slug": slug, "body": request.POST.get("body", "").replace("\x00", "")}
    return render(request, "chat/signed_out.html", context, status=403)


def see_other(url: str) -> HttpResponse:
    """303: what was posted is done, and the result is to be seen at `url`."""
    response = redirect(url)
    response.status_code = 303
    return response


@dataclass(frozen=True)
class MessageVisit:
    """A message as one viewer sees it."""

    visit: Visit
    message: Message

    @property
    def may_edit(self) -> bool:
        is_author = self.visit.is_member and self.message.author_id == self.visit.viewer.pk
        return is_author and not self.message.is_deleted and not self.visit.room.is_archived

    @property
    def may_delete(self) -> bool:
        may_moderate = self.visit.may_moderate and not self.message.is_deleted and not self.visit.room.is_archived
        return self.may_edit or may_moderate

    @property
    def place(self) -> str:
        """The message's address in the conversation."""
        return f"{self.visit.room.get_absolute_url()}?at={self.message.seq}#message-{self.message.pk}"


def message_for(viewer: type_of_viewer, slug: str, pk: int) -> MessageVisit:
    """A message of a room that the viewer may see. Raises Http404."""
    visit = room_for(viewer, slug)
    message = get_object_or_404(Message.objects.select_related("author"), pk=pk, room=visit.room)
    message.room = visit.room
    return MessageVisit(visit, message)


@require_safe
@vary_on_headers("HX-Request")
async def message(request: HtmxRequest, slug: str, pk: int) -> HttpResponse:
    """A message's own page: its permalink, and all that the viewer may do with it."""
    visit = await sync_to_async(message_for)(request.user, slug, pk)
    return render_message(request, visit, EditForm(initial={"body": visit.message.body}))


def render_message(request: HtmxRequest, visit: MessageVisit, form: EditForm, status: int = 200) -> HttpResponse:
    """The page, or for htmx its middle, which a dialog shows."""
    template = "chat/message_actions.html" if request.htmx else "chat/message_page.html"
    context = {"visit": visit, "message": visit.message, "room": visit.visit.room, "form": form}
    return render(request, template, context, status=status)


@require_POST
@login_required
async def edit(request: HtmxRequest, slug: str, pk: int) -> HttpResponseBase:
    """Change the text of one's own message."""
    visit = await sync_to_async(message_for)(request.user, slug, pk)
    if not visit.may_edit:
        raise PermissionDenied
    form = EditForm(request.POST)
    if form.is_valid():
        try:
            await sync_to_async(services.edit_message)(message=visit.message, body=form.cleaned_data["body"])
        except services.MessageError as error:
            form.add_error("body", str(error))
    return render_message(request, visit, form, status=422) if form.errors else done(request, visit)


@require_POST
@login_required
async def delete(request: HtmxRequest, slug: str, pk: int) -> HttpResponseBase:
    """Delete one's own message, or as a moderator anybody's."""
    visit = await sync_to_async(message_for)(request.user, slug, pk)
    if visit.message.is_deleted:
        return done(request, visit)
    if not visit.may_delete:
        raise PermissionDenied
    try:
        await sync_to_async(services.delete_message)(message=visit.message, deleter=visit.visit.member)
    except services.MessageError as error:
        form = EditForm(initial={"body": visit.message.body})
        form.add_error(None, str(error))
        return render_message(request, visit, form, status=422)
    return done(request, visit)


def done(request: HtmxRequest, visit: MessageVisit) -> HttpResponseBase:
    """Back to the message in its room; htmx's page shows the change by its socket and only closes its dialog."""
    if request.htmx:
        return trigger_client_event(HttpResponse(status=204), "message-done")
    return see_other(visit.place)

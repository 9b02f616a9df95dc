"""Find, create, change and delete rooms."""

from functools import partial

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import User
from apps.accounts.viewer import signed_in
from apps.core.answers import fragments_for_htmx
from apps.core.errors import Refusal
from apps.core.forms import save_unless_taken
from apps.core.limited import is_admitted, limited
from apps.core.limits import MAX_LISTED_INVITATIONS
from apps.core.requests import HtmxRequest
from apps.rooms import invitations, services
from apps.rooms.access import Visit, is_kept_out, room_for
from apps.rooms.forms import DeleteRoomForm, RoomForm
from apps.rooms.models import Room, name_key
from apps.rooms.navigation import rooms_of

ROOMS_ON_A_PAGE = 50


@require_safe
@fragments_for_htmx
def home(request: HtmxRequest) -> HttpResponse:
    """
    Show the viewer's rooms and invitations, or the welcome page when signed out.

    htmx gets the navigation's list of rooms alone, with `room` marked as current.
    """
    if request.htmx:
        context: dict[str, object] = {
            "navigation_rooms": rooms_of(request.user),
            "current_slug": request.GET.get("room"),
        }
        return render(request, "rooms/navigation_rooms.html", context)
    if isinstance(request.user, User):
        context = {
            "navigation_rooms": rooms_of(request.user),
            "invitations": invitations.pending_for(request.user)[:MAX_LISTED_INVITATIONS],
            "max_invitations": MAX_LISTED_INVITATIONS,
        }
        return render(request, "rooms/home.html", context)
    public_rooms = Room.objects.visible_to(request.user).filter(archived_at=None).order_by("name_key")
    return render(request, "rooms/welcome.html", {"public_rooms": public_rooms[:ROOMS_ON_A_PAGE]})


@require_safe
def rooms(request: HttpRequest) -> HttpResponse:
    """List the rooms that the viewer may see; `q` searches by name."""
    query = request.GET.get("q", "").replace("\x00", "").strip()[:80]
    found = Room.objects.visible_to(request.user).order_by("archived_at", "name_key")
    if isinstance(request.user, User):
        found = found.annotate(viewer_is_banned=is_kept_out(request.user))
    if query:
        found = found.filter(name_key__contains=name_key(query))
    page = Paginator(found, ROOMS_ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "rooms/rooms.html", {"page": page, "query": query})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@limited("rooms", in_form=True)
def new_room(request: HttpRequest) -> HttpResponse:
    """Create a room."""
    form = RoomForm(request.POST or None, initial={"access": Room.Access.OPEN})
    if request.method == "POST" and form.is_valid() and is_admitted(request, form):
        owner = signed_in(request)
        if room := save_unless_taken(form, lambda: services.create_room(owner=owner, **form.cleaned_data)):
            return redirect(room)
    return render(request, "rooms/new.html", {"form": form}, status=422 if form.errors else 200)


def manageable_room(request: HttpRequest, slug: str) -> Visit:
    """Return the room if the viewer may manage it. Raises NoSuchRoom or PermissionDenied."""
    visit = room_for(request.user, slug)
    if not visit.may_manage:
        raise PermissionDenied
    return visit


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@limited("room_details", in_form=True)
def settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a room's name, topic and access, and offer to archive or delete it."""
    visit = manageable_room(request, slug)
    form = RoomForm(request.POST or None, instance=visit.room)
    if request.method == "POST" and form.is_valid() and is_admitted(request, form):
        try:
            change = partial(services.change_details, room=visit.room, actor=visit.member)
            changed = save_unless_taken(form, lambda: change(**form.cleaned_data))
        except Refusal as error:
            changed = None
            form.add_error("access", str(error))
        if changed:
            messages.success(request, _("The room’s settings are saved."))
            return redirect(changed)
    room = get_object_or_404(Room, pk=visit.room.pk)  # validation has changed the form's instance
    context = {"room": room, "form": form, "delete_form": DeleteRoomForm(room=room)}
    return render(request, "rooms/settings.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
@limited("room_endings")
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    """Archive a room (`archived=1`) or reopen it."""
    visit = manageable_room(request, slug)
    archived = request.POST.get("archived") == "1"
    services.set_archived(room=visit.room, archived=archived, actor=visit.member)
    messages.success(request, _("The room is archived.") if archived else _("The room is open again."))
    return redirect(visit.room)


@login_required
@require_POST
@limited("room_endings")
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Permanently delete a room after its name was typed to confirm."""
    visit = manageable_room(request, slug)
    if visit.room.is_lobby:
        messages.error(request, _("The lobby is where new people arrive. Rename it, if you like, but keep it."))
        return redirect("room_settings", slug=visit.room.slug)
    form = DeleteRoomForm(request.POST, room=visit.room)
    if not form.is_valid():
        context = {"room": visit.room, "form": RoomForm(instance=visit.room), "delete_form": form}
        return render(request, "rooms/settings.html", context, status=422)
    services.delete_room(room=visit.room, actor=visit.member)
    messages.success(request, _("The room %(name)s is deleted.") % {"name": visit.room.name})
    return redirect("home")

"""Join, leave and manage members."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import User
from apps.accounts.viewer import signed_in
from apps.core.errors import Missing, Refusal
from apps.core.limited import limited
from apps.core.views import problem
from apps.rooms import invitations, services
from apps.rooms.access import Visit, room_for
from apps.rooms.forms import InviteForm, RoleForm
from apps.rooms.models import Membership

MEMBERS_ON_A_PAGE = 100
MAX_LISTED_INVITED = 200


@contextmanager
def refusals_shown(request: HttpRequest) -> Iterator[None]:
    """Show a Refusal raised in the block as a message on the next page."""
    try:
        yield
    except Refusal as error:
        messages.error(request, str(error))


@login_required
@require_POST
@limited("joining")
def join(request: HttpRequest, slug: str) -> HttpResponse:
    """Become a member by accepting a pending invitation, or else by joining an open room."""
    user = signed_in(request)
    try:
        if invitation := invitations.invitation_to(user, slug):
            return redirect(invitations.accept(invitation=invitation))
        visit = room_for(user, slug)
        if not visit.is_member:
            if not (visit.may_join or visit.is_banned):
                raise PermissionDenied
            services.join_room(room=visit.room, user=user)
    except Missing:
        # The same for rooms that don't exist, so that this doesn't reveal which do.
        advice = gettext(
            "If you were invited, the invitation is no longer open. Ask whoever invited you for a new one."
        )
        return problem(request, 404, gettext("There is no such room to join"), advice)
    except Refusal as error:
        return problem(request, 403, gettext("You may not do that"), str(error))
    return redirect(visit.room)


@login_required
@require_POST
@limited("joining")
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Stop being a member."""
    visit = room_for(request.user, slug)
    with refusals_shown(request):
        services.remove_member(room=visit.room, user=visit.member, reason=_("You left this room."))
        messages.success(request, gettext("You left %(name)s.") % {"name": visit.room.name})
        return redirect("home")
    return redirect("members", slug=visit.room.slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@limited("members", counts_refusals=True)
def members(request: HttpRequest, slug: str) -> HttpResponse:
    """List the room's members; moderators can invite people."""
    visit = room_for(request.user, slug)
    form = InviteForm(request.POST or None)
    if request.method == "POST":
        if not visit.may_moderate:
            raise PermissionDenied
        if form.is_valid() and form.user and invite(visit, form, form.user):
            name = {"name": form.user.username}
            messages.success(request, gettext("%(name)s is invited, and will see it under “Your rooms”.") % name)
            return redirect("members", slug=visit.room.slug)
    listed = visit.room.memberships.select_related("user").order_by("role", "id")
    context = {
        "visit": visit,
        "room": visit.room,
        "page": Paginator(listed, MEMBERS_ON_A_PAGE).get_page(request.GET.get("page")),
        "form": form,
        "invited": invitations.pending_in(visit.room)[:MAX_LISTED_INVITED] if visit.may_moderate else [],
        "roles": Membership.Role.choices,
    }
    return render(request, "rooms/members.html", context, status=422 if form.errors else 200)


def invite(visit: Visit, form: InviteForm, user: User) -> bool:
    """Invite a user; return False, with errors in the form, if that is refused."""
    try:
        invitations.invite(room=visit.room, user=user, inviter=visit.member)
    except (Refusal, Missing) as error:
        form.add_error("username", str(error))
        return False
    return True


def other_member(visit: Visit, username: str) -> Membership:
    """Return the membership of the user named in the URL. Raises Http404."""
    if "\x00" in username:
        raise Http404
    return get_object_or_404(visit.room.memberships.select_related("user"), user__username=username)


@login_required
@require_POST
@limited("members")
def change_role(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Make a member an owner, a moderator or just a member."""
    visit = room_for(request.user, slug)
    if not visit.may_manage:
        raise PermissionDenied
    membership = other_member(visit, username)
    form = RoleForm(request.POST)
    if form.is_valid():
        role = form.cleaned_data["role"]
        with refusals_shown(request):
            services.set_role(room=visit.room, user=membership.user, role=role, actor=visit.member)
            messages.success(request, gettext("The role of %(name)s is changed.") % {"name": username})
    else:
        messages.error(request, _("Choose one of the roles in the list."))
    return redirect("members", slug=visit.room.slug)


@login_required
@require_POST
@limited("members")
def remove_member(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Remove a member. Moderators can't remove owners or one another."""
    visit = room_for(request.user, slug)
    if not visit.may_moderate:
        raise PermissionDenied
    membership = other_member(visit, username)
    if membership.role not in visit.removable_roles:
        raise PermissionDenied
    with refusals_shown(request):
        reason = _("You are no longer a member of this room.")
        services.remove_member(room=visit.room, user=membership.user, reason=reason, by=visit.member)
        messages.success(request, gettext("%(name)s is no longer a member of this room.") % {"name": username})
    return redirect("members", slug=visit.room.slug)


@login_required
@require_POST
@limited("members")
def hand_over(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Transfer the viewer's ownership of the room to another member."""
    visit = room_for(request.user, slug)
    if not visit.may_hand_over:
        raise PermissionDenied
    membership = other_member(visit, username)
    if membership.user == visit.member:
        messages.error(request, _("You own this room already. Choose somebody else."))
    else:
        with refusals_shown(request):
            services.hand_over(room=visit.room, owner=visit.member, heir=membership.user)
            messages.success(request, gettext("%(name)s owns this room now; you are a moderator.") % {"name": username})
    return redirect("members", slug=visit.room.slug)

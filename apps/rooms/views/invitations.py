"""Invite people to a room, by link and by name."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import Invitation
from apps.accounts.viewer import signed_in
from apps.accounts.views.invitations import make_and_list
from apps.core.limited import limited
from apps.rooms import invitations
from apps.rooms.access import room_for


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@limited("invitations", in_form=True)
def room_invitations(request: HttpRequest, slug: str) -> HttpResponse:
    """List and create a room's invitation links, for its moderators."""
    visit = room_for(request.user, slug)
    if not visit.may_moderate:
        raise PermissionDenied
    listed = Invitation.objects.filter(room=visit.room)
    if not visit.may_manage:
        listed = listed.filter(made_by=visit.member)
    template = "rooms/invitations.html"
    return make_and_list(request, listed, room_id=visit.room.pk, template=template, room=visit.room)


@login_required
@require_POST
@limited("joining")
def decline(request: HttpRequest, slug: str) -> HttpResponse:
    """Decline an invitation by name."""
    if found := invitations.invitation_to(signed_in(request), slug):
        invitations.decline(invitation=found)
        messages.success(request, _("The invitation to %(name)s is declined.") % {"name": found.room.name})
    else:
        # The same for rooms that don't exist, so that this doesn't reveal which do.
        messages.info(request, _("This invitation is no longer open."))
    return redirect("home")


@login_required
@require_POST
@limited("members")
def withdraw(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Withdraw a pending invitation."""
    visit = room_for(request.user, slug)
    if not visit.may_moderate:
        raise PermissionDenied
    if invitations.withdraw(room=visit.room, username=username.replace("\x00", "")):
        messages.success(request, _("The invitation for %(name)s is withdrawn.") % {"name": username})
    else:
        messages.info(request, _("%(name)s has answered the invitation already.") % {"name": username})
    return redirect("members", slug=visit.room.slug)

"""Let people into a room by a link."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.accounts.models import Invitation
from apps.accounts.views.invitations import make_and_list
from apps.rooms.access import room_for


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def room_invitations(request: HttpRequest, slug: str) -> HttpResponse:
    """The room's invitations, for those who may moderate it; they make new ones here."""
    visit = room_for(request.user, slug)
    if not visit.may_moderate:
        raise PermissionDenied
    listed = Invitation.objects.filter(room=visit.room)
    if not visit.may_manage:
        listed = listed.filter(made_by=visit.member)
    return make_and_list(request, listed, room_id=visit.room.pk, room=visit.room)

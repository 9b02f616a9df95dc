"""The devices that a user is signed in on."""

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.devices import device_of
from apps.accounts.viewer import signed_in
from apps.core.limited import limited


@require_safe
@never_cache
async def viewer(request: HttpRequest) -> HttpResponse:
    """Return the id of the signed-in user, or nothing; for pages restored by the browser."""
    return HttpResponse(str(request.user.pk or ""), content_type="text/plain")


@login_required
@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """List the user's devices: the current one, then the latest sign-ins first."""
    user = signed_in(request)
    own = request.session.session_key
    if not UserSession.objects.filter(session_key=own).exists():
        UserSession.objects.create_from_request(request)
    found = sorted(UserSession.objects.purge_and_list(user), key=lambda one: one.created_at, reverse=True)
    found.sort(key=lambda one: one.session_key != own)
    listed = [
        {"session": one, "device": device_of(one.user_agent), "is_current": one.session_key == own} for one in found
    ]
    return render(request, "accounts/sessions.html", {"sessions": listed})


@login_required
@require_POST
@limited("devices")
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign one device out. Deleting its row notifies its open pages."""
    session = get_object_or_404(UserSession, user=signed_in(request), pk=pk)
    if session.session_key == request.session.session_key:
        return redirect("account_logout")
    session.end()
    messages.success(request, _("%(device)s is signed out.") % {"device": device_of(session.user_agent)})
    return redirect("sessions")


@login_required
@require_POST
@limited("devices")
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign all other devices out."""
    others = UserSession.objects.filter(user=signed_in(request)).exclude(session_key=request.session.session_key)
    for session in others:
        session.end()
    messages.success(request, _("All your other devices are signed out."))
    return redirect("sessions")

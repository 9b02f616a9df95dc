"""Creating, listing, revoking and following invitations."""

from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts import invitations as services
from apps.accounts.forms import InvitationForm
from apps.accounts.models import Invitation, User
from apps.accounts.viewer import signed_in
from apps.core.errors import Refusal
from apps.core.limited import is_admitted, limited
from apps.core.views import problem

MAX_LISTED = 200


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@limited("invitations", in_form=True)
def invitations(request: HttpRequest) -> HttpResponse:
    """List and create invitations to the site, for its owners and moderators."""
    user = signed_in(request)
    if not user.is_site_moderator:
        raise PermissionDenied
    listed = Invitation.objects.filter(room=None)
    return make_and_list(request, listed if user.is_site_owner else listed.filter(made_by=user), room_id=None)


def make_and_list(
    request: HttpRequest,
    listed: QuerySet[Invitation],
    *,
    room_id: int | None,
    template: str = "accounts/invitations.html",
    **context: object,
) -> HttpResponse:
    """
    Render the page of invitations to the site or to a room; on POST, create one first.

    The new link is in the response to the POST itself, since it isn't stored: reloading creates another.
    """
    form = InvitationForm(request.POST or None)
    link = ""
    if request.method == "POST" and form.is_valid() and is_admitted(request, form):
        try:
            token = services.make(made_by=signed_in(request), room_id=room_id, **form.cleaned_data)
        except Refusal as error:
            form.add_error(None, str(error))
        else:
            link = settings.SITE_URL + reverse("invitation", args=[token])
            form = InvitationForm()
    found = listed.select_related("made_by").order_by("-created_at", "-pk")[:MAX_LISTED]
    advice = what_a_link_does(signed_in(request), leads_into_room=room_id is not None)
    context |= {"form": form, "link": link, "invitations": found, "advice": advice}
    return render(request, template, context, status=422 if form.errors else 200)


def what_a_link_does(user: User, *, leads_into_room: bool) -> str:
    """Describe what happens to people who follow a link created by the user."""
    if settings.SIGNUP == "closed":
        advice, into_room = _("No new accounts can be made on this site."), _("Those who have one join the room.")
    elif settings.SIGNUP == "invite" and not user.is_site_moderator:
        # They can only create links to their rooms; this text says so.
        return _(
            "Those who have an account here join the room by the link. To let others make one, ask an owner or "
            "moderator of the site."
        )
    elif settings.SIGNUP == "invite":
        advice, into_room = _("Who follows the link can make an account."), _("Then they join the room.")
    else:
        advice = _("Anybody can make an account on this site; the link makes it easy to find.")
        into_room = _("It leads into the room.")
    return f"{advice} {into_room}" if leads_into_room else advice


@login_required
@require_POST
@limited("invitations_revoked")
def revoke_invitation(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke an invitation of the user's own or, as the site's owner, anyone's."""
    user = signed_in(request)
    own = Invitation.objects.all() if user.is_site_owner else Invitation.objects.filter(made_by=user)
    found = get_object_or_404(own.select_related("room"), pk=pk)
    services.revoke(invitation=found)
    messages.success(request, _("The invitation is revoked."))
    return redirect("room_invitations", slug=found.room.slug) if found.room else redirect("invitations")


@require_safe
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation: who invites to what, and how to accept."""
    found = services.find(token)
    if found is None:
        return no_such_invitation(request)
    return render(request, "accounts/invitation.html", {"invitation": found, "token": token})


def no_such_invitation(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the same page for an invitation that never existed and one that has ended."""
    advice = reason or _("It may have expired, been revoked or been used up. Ask whoever sent it for a new one.")
    return problem(request, 404, _("This invitation is not good any more"), advice)


@require_POST
@limited("invitations_followed")
def accept_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Join the room if signed in; otherwise keep the invitation and redirect to the sign-up page."""
    found = services.find(token)
    if found is None:
        return no_such_invitation(request)
    if not isinstance(request.user, User):
        if settings.SIGNUP == "invite" and not found.lets_strangers_in:
            query = urlencode({"next": reverse("invitation", args=[token])})
            return redirect(f"{reverse('account_login')}?{query}")
        services.stash(request, found)
        query = urlencode({"next": found.room.get_absolute_url()}) if found.room else ""
        return redirect(f"{reverse('account_signup')}?{query}")
    if found.room is None:
        return redirect("home")
    if found.room.memberships.filter(user=request.user).exists():
        return redirect(found.room)  # leaving the use to someone else
    try:
        services.accept(digest=found.digest, user=request.user)
    except Refusal as error:
        return no_such_invitation(request, str(error))
    return redirect(found.room)

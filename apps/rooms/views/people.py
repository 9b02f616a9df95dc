"""A user's public profile."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from apps.accounts.models import FormerUsername, User
from apps.accounts.names import look_alike_digests
from apps.accounts.services import person_named
from apps.accounts.viewer import signed_in
from apps.rooms.models import Room


@login_required
@require_safe
def person(request: HttpRequest, username: str) -> HttpResponse:
    """Show the profile of a user who shares a room with the viewer. Former usernames redirect."""
    viewer = signed_in(request)
    found = find_person(username)
    common = Room.objects.filter(memberships__user=viewer).filter(memberships__user=found).order_by("name_key")
    if found != viewer and not viewer.is_site_moderator and not common.exists():
        raise Http404
    if found.username != username:
        return redirect(found, permanent=False)
    return render(request, "rooms/person.html", {"person": found, "common_rooms": common[:50]})


def find_person(username: str) -> User:
    """Return the active user who has or had this username. Raises Http404."""
    if "\x00" in username:
        raise Http404
    active = User.objects.filter(is_active=True)
    found = person_named(username, active)
    if found is None:
        former = FormerUsername.objects.filter(digest__in=look_alike_digests(username)).values("user")
        found = active.filter(pk__in=former).first()
    if found is None:
        raise Http404
    return found

"""A room's announcements: the level, and the latest ones to read without scripts."""

from collections.abc import Iterator
from itertools import islice

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.chat.forms import AnnouncementsForm
from apps.chat.history import in_room
from apps.chat.mentions import is_mentioned, may_mention
from apps.chat.models import Message
from apps.core.limited import limited
from apps.rooms.access import Visit, room_for
from apps.rooms.models import Membership

MAX_LINES = 50


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@limited("preferences")
def announcements(request: HttpRequest, slug: str) -> HttpResponse:
    """Let a member choose the room's level, and list its latest announcements, newest first."""
    visit = room_for(request.user, slug)
    if not visit.is_member:
        raise PermissionDenied
    form = AnnouncementsForm(request.POST or None, initial={"announces": visit.announces})
    if request.method == "POST" and form.is_valid():
        visit.room.memberships.filter(user=visit.member).update(announces=form.cleaned_data["announces"])
        messages.success(request, _("The choice is saved."))
        return redirect("announcements", slug=visit.room.slug)
    lines = in_room(visit.room, list(islice(announced(visit), MAX_LINES)))
    context = {"room": visit.room, "form": form, "lines": lines}
    return render(request, "chat/announcements.html", context, status=422 if form.errors else 200)


def announced(visit: Visit) -> Iterator[Message]:
    """Return others' messages that the room's level announces, newest first."""
    if visit.announces == Membership.Announces.OFF:
        return iter(())
    own = visit.member.username
    said = Message.objects.filter(room=visit.room).exclude(author=visit.member)
    said = said.select_related("author").order_by("-seq")
    if visit.announces != Membership.Announces.MENTIONS:
        return iter(said[:MAX_LINES])
    likely = said.filter(may_mention(own)).iterator(chunk_size=MAX_LINES)
    return (message for message in likely if is_mentioned(message.html, own))

"""The list of a person's rooms, in pages and in what keeps it live."""

from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from apps.accounts.viewer import Viewer
from apps.rooms.models import Room, unread_by

# How many rooms the navigation lists; all of them are on /rooms/.
MAX_NAVIGATION_ROOMS = 200


def rooms_of(viewer: Viewer) -> list[Room]:
    """Return the viewer's rooms for the navigation, sorted by name."""
    if not viewer.is_authenticated:
        return []
    own = Room.objects.filter(memberships__user=viewer.pk, archived_at=None)
    own = own.annotate(unread_count=unread_by("memberships"))
    return list(own.order_by("name_key")[:MAX_NAVIGATION_ROOMS])


def entry(slug: str, name: str, *, unread: int, is_current: bool) -> SafeString:
    """Return a room's entry."""
    current = format_html(' aria-current="{}"', "page") if is_current else ""
    url = reverse("room", args=[slug])
    return format_html(
        '<li id="room-{}"><a href="{}"{}><bdi>{}</bdi>{}</a></li>', slug, url, current, name, unread_note(unread)
    )


def unread_note(unread: int) -> str:
    """Return how much is unread; nothing for nothing."""
    if unread <= 0:
        return ""
    words = ngettext("%(number)s unread", "%(number)s unread", unread) % {"number": localize(unread)}
    return format_html(' <span class="unread">{}</span>', words)

"""The list of a person's rooms, in pages and in what keeps it live."""

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

# How many rooms the navigation lists; all of them are on /rooms/.
MAX_NAVIGATION_ROOMS = 200


def entry(slug: str, name: str, *, unread: int, is_current: bool) -> SafeString:
    """Return a room's entry; where it is current, its page says itself what is unread."""
    return format_html(
        '<li id="room-{}"><a href="{}"{}><bdi>{}</bdi>{}</a></li>',
        slug,
        reverse("room", args=[slug]),
        SafeString(' aria-current="page"' if is_current else ""),
        name,
        unread_note(unread),
    )


def unread_note(unread: int) -> SafeString:
    """Return how much is unread; nothing for nothing."""
    if unread <= 0:
        return SafeString("")
    words = ngettext("%(number)s unread", "%(number)s unread", unread) % {"number": unread}
    return format_html(' <span class="unread">{}</span>', words)

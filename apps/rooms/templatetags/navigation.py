"""The entries of the list of rooms."""

from django import template
from django.utils.safestring import SafeString

from apps.rooms.models import Room
from apps.rooms.navigation import entry

register = template.Library()


@register.simple_tag
def room_entry(room: Room, current_slug: str) -> SafeString:
    """Return the entry of one of the viewer's rooms, found with its `unread_count`."""
    return entry(room.slug, room.name, unread=getattr(room, "unread_count", 0), is_current=room.slug == current_slug)

"""The slot in a message for what other apps show in it."""

from django import template
from django.template import Context
from django.utils.safestring import SafeString

from apps.chat import extras
from apps.chat.models import Message
from apps.chat.shown import ShownMessage

register = template.Library()


@register.simple_tag(takes_context=True)
def show_extras(context: Context, message: Message | ShownMessage) -> SafeString:
    """Render the extras of a message."""
    return extras.render(message, context.get("user"))

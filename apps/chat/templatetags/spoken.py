"""Messages for screen readers: the labels of their articles, and announcements of new ones."""

from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from apps.accounts.models import User
from apps.accounts.templatetags.clocks import clock
from apps.chat.models import Message
from apps.chat.spoken import text_of

register = template.Library()

LABEL_ORDERS = {
    "": "author-{0} body-{0} time-{0}",
    "text": "body-{0} author-{0} time-{0}",
    "time": "time-{0} author-{0} body-{0}",
}


@register.simple_tag(takes_context=True)
def label_of(context: Context, pk: int) -> str:
    """Return `aria-labelledby` for a message, in the viewer's reading order; frames use the default order."""
    viewer = context.get("user")
    return LABEL_ORDERS[viewer.reading_order if isinstance(viewer, User) else ""].format(pk)


@register.simple_tag(takes_context=True)
def announcement(context: Context, message: Message) -> SafeString:
    """Return a message's announcement, in the viewer's reading order."""
    viewer = context.get("user")
    text = gettext("This message was deleted.") if message.is_deleted else text_of(message.html)
    return spoken(
        viewer.reading_order if isinstance(viewer, User) else "",
        author=both_names(message),
        text=format_html("<bdi>{}</bdi>", text),
        time=clock(context, message.created_at),
    )


def both_names(message: Message) -> SafeString:
    """Return the author's name, with their username if another user could be mistaken for them."""
    name = format_html("<bdi>{}</bdi>", message.author_name)
    if message.author and message.author.shows_username:
        return format_html("{} (<bdi>{}</bdi>)", name, message.author.username)
    return name


def spoken(order: str, *, author: str, text: str, time: str) -> SafeString:
    """Return a new message's announcement, in a reading order; announcer.js does the same."""
    match order:
        case "text":
            return format_html("{}, {}", text, author)
        case "time":
            return format_html("{}, {}: {}", time, author, text)
        case _:
            return format_html("{}: {}", author, text)

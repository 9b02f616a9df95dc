"""Messages for screen readers: the labels of their articles, and announcements of new ones."""

from typing import NamedTuple

from django import template
from django.template import Context
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from apps.accounts.models import User
from apps.accounts.templatetags.clocks import clock
from apps.chat.models import Message
from apps.chat.spoken import text_of

register = template.Library()


class Order(NamedTuple):
    """An order in which messages are read out. Scripts get it as data and fill it in for what frames bring."""

    labels: str
    line: str


# Frames have the usual one.
USUAL = Order("author-{pk} body-{pk} time-{pk}", "{author}: {text}")
ORDERS = {
    "": USUAL,
    "text": Order("body-{pk} author-{pk} time-{pk}", "{text}, {author}"),
    "time": Order("time-{pk} author-{pk} body-{pk}", "{time}, {author}: {text}"),
}


def order_of(context: Context) -> Order:
    """The order that the viewer prefers."""
    viewer = context.get("user")
    return ORDERS[viewer.reading_order if isinstance(viewer, User) else ""]


@register.simple_tag(takes_context=True)
def order_for_scripts(context: Context) -> SafeString:
    """The viewer's order as attributes; the labels only if they differ from those that frames have."""
    order = order_of(context)
    attributes = {"labels": order.labels, "line": order.line}
    if order is USUAL:
        del attributes["labels"]
    return format_html_join("", ' data-{}="{}"', attributes.items())


@register.simple_tag(takes_context=True)
def label_of(context: Context, pk: int) -> str:
    """What a message's article is labelled by, in the order that the viewer prefers."""
    return order_of(context).labels.format(pk=pk)


@register.simple_tag(takes_context=True)
def announcement(context: Context, message: Message) -> SafeString:
    """A message as it is announced, in the order that the viewer prefers."""
    text = gettext("This message was deleted.") if message.is_deleted else text_of(message.html)
    return spoken(
        order_of(context),
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


def spoken(order: Order, *, author: str, text: str, time: str) -> SafeString:
    """A new message as it is announced."""
    return format_html(order.line, author=author, text=text, time=time)

"""
Times in the conversation.

In a frame, which is the same for every viewer, they are those of the site (TIME_ZONE). A page shows them by its
viewer's clock; `viewer.js` does the same to what frames bring.
"""

from datetime import date, datetime, timedelta

from django import template
from django.template import Context, Engine
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext

from apps.accounts.models import User
from apps.chat.clocks import clock_of
from apps.chat.mentions import pattern_of
from apps.chat.models import Message
from apps.chat.spoken import text_of

register = template.Library()

HOURS_24, HOURS_12 = "H:i", "g:i"


@register.simple_tag(takes_context=True)
def clock(context: Context, moment: datetime) -> SafeString:
    """
    A <time> that shows hour and minute, and the whole date to who asks for it.

    Day headings are the site's. Where the viewer has another day by then, the time says which.
    """
    viewer = context.get("user")
    local = timezone.localtime(moment)
    shown = date_format(local, HOURS_24)
    if isinstance(viewer, User):
        site_day = local.date()
        local = moment.astimezone(viewer.zone)
        shown = hour_and_minute(local, viewer)
        if local.date() != site_day:
            shown = f"{date_format(local, 'D')} {shown}"
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        local.isoformat(timespec="seconds"),
        date_format(local, pgettext("format of a moment, as Django's date filter has it", "j F Y, H:i")),
        local.tzname() or "",
        shown,
    )


def hour_and_minute(local: datetime, viewer: object) -> str:
    """The time as the viewer's clock shows it."""
    if not isinstance(viewer, User) or not viewer.clock:
        return date_format(local, HOURS_24)
    half = pgettext("clock", "a.m.") if local.hour < 12 else pgettext("clock", "p.m.")
    return f"{date_format(local, HOURS_12)} {half}"


LABEL_ORDERS = {
    "": "author-{0} body-{0} time-{0}",
    "text": "body-{0} author-{0} time-{0}",
    "time": "time-{0} author-{0} body-{0}",
}


@register.simple_tag(takes_context=True)
def label_of(context: Context, pk: int) -> str:
    """What a message's article is labelled by, in the order that the viewer likes; frames have the usual one."""
    viewer = context.get("user")
    return LABEL_ORDERS[viewer.reading_order if isinstance(viewer, User) else ""].format(pk)


@register.simple_tag(takes_context=True)
def for_scripts(context: Context, template_name: str, element_id: str) -> SafeString:
    """A template's HTML as data for a script: text browsers would show a <dialog> or a <template> to everybody."""
    html = Engine.get_default().get_template(template_name).render(context)
    return json_script(html, element_id)


@register.simple_tag(takes_context=True)
def clock_for_scripts(context: Context) -> str:
    """The viewer's clock as data, for what frames bring."""
    data = clock_of(context.get("user"))
    return json_script(data, "clock") if data else ""


@register.simple_tag(takes_context=True)
def announcement(context: Context, message: Message) -> SafeString:
    """A message as it is announced, in the order that the viewer likes."""
    viewer = context.get("user")
    text = gettext("This message was deleted.") if message.is_deleted else text_of(message.html)
    return spoken(
        viewer.reading_order if isinstance(viewer, User) else "",
        author=both_names(message),
        text=format_html("<bdi>{}</bdi>", text),
        time=clock(context, message.created_at),
    )


def both_names(message: Message) -> SafeString:
    """Who said it; with their user name, where another could be taken for them."""
    name = format_html("<bdi>{}</bdi>", message.author_name)
    if message.author and message.author.shows_username:
        return format_html("{} (<bdi>{}</bdi>)", name, message.author.username)
    return name


def spoken(order: str, *, author: str, text: str, time: str) -> SafeString:
    """A new message as it is announced, in somebody's reading order; announcer.js has the same."""
    match order:
        case "text":
            return format_html("{}, {}", text, author)
        case "time":
            return format_html("{}, {}: {}", time, author, text)
        case _:
            return format_html("{}: {}", author, text)


@register.simple_tag
def naming_pattern(username: str) -> str:
    """The regular expression by which a script knows that a message names somebody."""
    return pattern_of(username)


@register.simple_tag(takes_context=True)
def clock_there(context: Context, person: User) -> str:
    """What somebody's clock shows now, and how far that is from the viewer's own."""
    now = timezone.now()
    there = now.astimezone(person.zone)
    viewer = context.get("user")
    here = now.astimezone(viewer.zone) if isinstance(viewer, User) else timezone.localtime(now)
    shown = f"{date_format(there, 'l')}, {hour_and_minute(there, viewer)}"
    return gettext("%(time)s there%(difference)s") % {"time": shown, "difference": difference(there, here)}


def difference(there: datetime, here: datetime) -> str:
    """How far one clock is ahead of another, in words; nothing where they show the same."""
    ahead = (there.utcoffset() or timedelta()) - (here.utcoffset() or timedelta())
    is_ahead = ahead > timedelta()
    hours, minutes = divmod(abs(ahead) // timedelta(minutes=1), 60)
    if minutes:
        # Not as a plural: languages that have words for one hour and for two would leave the minutes out.
        words = gettext(", %(time)s hours ahead of you") if is_ahead else gettext(", %(time)s hours behind you")
        return words % {"time": f"{hours}:{minutes:02}"}
    if not hours:
        return ""
    if is_ahead:
        words = ngettext(", %(hours)s hour ahead of you", ", %(hours)s hours ahead of you", hours)
    else:
        words = ngettext(", %(hours)s hour behind you", ", %(hours)s hours behind you", hours)
    return words % {"hours": hours}


@register.simple_tag
def day(moment: date) -> SafeString:
    """A <time> that shows a day in full, as the site has it."""
    local = timezone.localdate(moment) if isinstance(moment, datetime) else moment
    shown = date_format(local, pgettext("format of a day, as Django's date filter has it", "l, j F Y"))
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), shown)

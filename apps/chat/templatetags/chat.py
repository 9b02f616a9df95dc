"""
Times in the conversation.

In a frame, which is the same for every viewer, they are those of the site (TIME_ZONE). A page shows them by its
viewer's clock; `clock.js` does the same to what frames bring.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django import template
from django.template import Context
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html

from apps.accounts.models import User

register = template.Library()

HOURS_24, HOURS_12 = "H:i", "g:i a"


@register.simple_tag(takes_context=True)
def clock(context: Context, moment: datetime) -> str:
    """
    A <time> that shows hour and minute, and the whole date to who asks for it.

    Day headings are the site's. Where the viewer has another day by then, the time says which.
    """
    viewer = context.get("user")
    local, hours = timezone.localtime(moment), HOURS_24
    if isinstance(viewer, User):
        site_day = local.date()
        local, hours = moment.astimezone(viewer.zone), HOURS_12 if viewer.clock else HOURS_24
        if local.date() != site_day:
            hours = f"D {hours}"
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        local.isoformat(timespec="seconds"),
        date_format(local, "j F Y H:i"),
        local.tzname() or "",
        date_format(local, hours),
    )


@register.simple_tag(takes_context=True)
def clock_there(context: Context, time_zone: str) -> str:
    """What the clock shows now in a time zone, and how far that is from the viewer's own."""
    now = timezone.now()
    there = now.astimezone(ZoneInfo(time_zone))
    viewer = context.get("user")
    here = now.astimezone(viewer.zone) if isinstance(viewer, User) else timezone.localtime(now)
    hours = HOURS_12 if isinstance(viewer, User) and viewer.clock else HOURS_24
    return f"{date_format(there, f'l, {hours}')} there{difference(there, here)}"


def difference(there: datetime, here: datetime) -> str:
    """How far one clock is ahead of another, in words; nothing where they show the same."""
    ahead = (there.utcoffset() or timedelta()) - (here.utcoffset() or timedelta())
    if not ahead:
        return ""
    hours = f"{abs(ahead) / timedelta(hours=1):g}"
    return f", {hours} hour{'' if hours == '1' else 's'} {'ahead of' if ahead > timedelta() else 'behind'} you"


@register.simple_tag
def day(moment: date) -> str:
    """A <time> that shows a day in full, as the site has it."""
    local = timezone.localdate(moment) if isinstance(moment, datetime) else moment
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), date_format(local, "l, j F Y"))

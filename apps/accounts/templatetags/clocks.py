"""
Times in a user's time zone and format.

Frames are the same for all viewers, so their times are in the site's zone (TIME_ZONE). Pages use their viewer's;
`viewer.js` converts times in frames to match.
"""

from datetime import datetime, timedelta

from django import template
from django.template import Context
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from apps.accounts.clocks import OTHER_DAY, clock_of, full_format, time_formats
from apps.accounts.models import User

register = template.Library()


@register.simple_tag(takes_context=True)
def clock(context: Context, moment: datetime) -> SafeString:
    """
    Return a <time> that shows hour and minute, with the whole date as its title.

    Day headings are in the site's zone. If the viewer's day differs from that, the time names it.
    """
    viewer = context.get("user")
    local = timezone.localtime(moment)
    day = ""
    if isinstance(viewer, User):
        site_day = local.date()
        local = moment.astimezone(viewer.zone)
        day = "" if local.date() == site_day else OTHER_DAY
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        local.isoformat(timespec="seconds"),
        date_format(local, full_format()),
        local.tzname() or "",
        date_format(local, day + time_formats(viewer)[local.hour // 12]),
    )


@register.simple_tag(takes_context=True)
def clock_for_scripts(context: Context) -> str:
    """Return the viewer's zone and format as JSON, for times in frames."""
    data = clock_of(context.get("user"))
    return json_script(data, "clock") if data else ""


@register.simple_tag(takes_context=True)
def clock_there(context: Context, person: User) -> str:
    """Return the current time in a user's zone, and the difference to the viewer's."""
    now = timezone.now()
    there = now.astimezone(person.zone)
    viewer = context.get("user")
    here = now.astimezone(viewer.zone) if isinstance(viewer, User) else timezone.localtime(now)
    shown = date_format(there, f"l, {time_formats(viewer)[there.hour // 12]}")
    return gettext("%(time)s there%(difference)s") % {"time": shown, "difference": difference(there, here)}


def difference(there: datetime, here: datetime) -> str:
    """Describe how far one clock is ahead of another; empty if they show the same."""
    ahead = (there.utcoffset() or timedelta()) - (here.utcoffset() or timedelta())
    is_ahead = ahead > timedelta()
    hours, minutes = divmod(abs(ahead) // timedelta(minutes=1), 60)
    if minutes:
        # Not a plural form: languages with special words for one or two hours would leave the minutes out.
        words = gettext(", %(time)s hours ahead of you") if is_ahead else gettext(", %(time)s hours behind you")
        return words % {"time": f"{hours}:{minutes:02}"}
    if not hours:
        return ""
    if is_ahead:
        words = ngettext(", %(hours)s hour ahead of you", ", %(hours)s hours ahead of you", hours)
    else:
        words = ngettext(", %(hours)s hour behind you", ", %(hours)s hours behind you", hours)
    return words % {"hours": hours}

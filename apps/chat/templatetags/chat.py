"""Times in the conversation, where the site is (TIME_ZONE): the same for every viewer."""

from datetime import date, datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html

register = template.Library()


@register.simple_tag
def clock(moment: datetime) -> str:
    """A <time> that shows hour and minute, and the whole date to who asks for it."""
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        local.isoformat(timespec="seconds"),
        date_format(local, "j F Y H:i"),
        local.tzname() or "",
        date_format(local, "H:i"),
    )


@register.simple_tag
def day(moment: date) -> str:
    """A <time> that shows a day in full."""
    local = timezone.localdate(moment) if isinstance(moment, datetime) else moment
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), date_format(local, "l, j F Y"))

"""Dates and times as text, in each language's format."""

from datetime import date, datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import pgettext

register = template.Library()


@register.filter
def day_of(moment: datetime) -> str:
    """Format the date of a moment in the site's time zone."""
    return date_format(
        timezone.localtime(moment), pgettext("format of a date, as Django's date filter has it", "j F Y")
    )


@register.filter
def moment(moment: datetime) -> str:
    """Format a moment with date, hour and minute in the site's time zone."""
    form = pgettext("format of a moment, as Django's date filter has it", "j F Y, H:i")
    return date_format(timezone.localtime(moment), form)


@register.filter
def iso(moment: datetime) -> str:
    """Format a moment for the datetime attribute of <time>."""
    return timezone.localtime(moment).isoformat(timespec="seconds")


@register.simple_tag
def day(moment: date) -> SafeString:
    """Return a <time> with the full date in the site's time zone."""
    local = timezone.localdate(moment) if isinstance(moment, datetime) else moment
    shown = date_format(local, pgettext("format of a day, as Django's date filter has it", "l, j F Y"))
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), shown)

"""Days and moments as text, each language in its own order."""

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
    """The day of a moment, where the site is."""
    return date_format(
        timezone.localtime(moment), pgettext("format of a date, as Django's date filter has it", "j F Y")
    )


@register.filter
def moment(moment: datetime) -> str:
    """A moment with its day, hour and minute, where the site is."""
    form = pgettext("format of a moment, as Django's date filter has it", "j F Y, H:i")
    return date_format(timezone.localtime(moment), form)


@register.filter
def iso(moment: datetime) -> str:
    """A moment as HTML's <time> wants it."""
    return timezone.localtime(moment).isoformat(timespec="seconds")


@register.simple_tag
def day(moment: date) -> SafeString:
    """A <time> that shows a day in full, as the site has it."""
    local = timezone.localdate(moment) if isinstance(moment, datetime) else moment
    shown = date_format(local, pgettext("format of a day, as Django's date filter has it", "l, j F Y"))
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), shown)

"""
A viewer's clock: the formats in which times are shown, and all that viewer.js needs to show times in frames alike.

The browser's own zones may be older or newer than ours, or incomplete, and its day names are not Django's.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from django.utils import dates, timezone
from django.utils.translation import pgettext

from apps.accounts.models import User

FIRST_YEAR = 2000
YEARS_AHEAD = 2
# As Django's date filter has them.
HOURS_24, HOURS_12 = "H:i", "g:i"
# Before the time, if the viewer's day is not the site's, which headings show.
OTHER_DAY = "D "
# No zone has changed its clocks twice in less.
STEP = timedelta(days=4)
MINUTE = timedelta(minutes=1)


class Change(NamedTuple):
    """From `since` (Unix time) on, a zone is `offset` seconds ahead of UTC and its time is called `name`."""

    since: int
    offset: int
    name: str


def time_formats(viewer: object) -> list[str]:
    """How the viewer's clock shows hour and minute, before noon and after."""
    if not isinstance(viewer, User) or not viewer.clock:
        return [HOURS_24, HOURS_24]
    return [f"{HOURS_12} {literally(half)}" for half in (pgettext("clock", "a.m."), pgettext("clock", "p.m."))]


def full_format() -> str:
    """How a whole date is shown. The name of the zone follows; its letter gives nothing in an hour that repeats."""
    return pgettext("format of a moment, as Django's date filter has it", "j F Y, H:i")


def literally(text: str) -> str:
    """A text as part of a format."""
    return "".join(f"\\{character}" for character in text)


def clock_of(viewer: object) -> dict[str, Any] | None:
    """Return what viewer.js needs; None if the viewer sees times as they are in frames."""
    site = timezone.get_default_timezone()
    if not isinstance(viewer, User) or not (viewer.clock or viewer.time_zone):
        return None
    last = timezone.now().year + YEARS_AHEAD
    return {
        "times": time_formats(viewer),
        "otherDay": OTHER_DAY,
        "full": full_format(),
        "own": changes_of(viewer.zone, last),
        "site": changes_of(site, last),
        "months": [str(dates.MONTHS[number]) for number in range(1, 13)],
        "shortMonths": [str(dates.MONTHS_3[number]) for number in range(1, 13)],
        "days": [str(dates.WEEKDAYS[number]) for number in range(7)],
        "shortDays": [str(dates.WEEKDAYS_ABBR[number]) for number in range(7)],
    }


@lru_cache(maxsize=128)
def changes_of(zone: tzinfo, last_year: int) -> list[Change]:
    """Return a zone's changes of offset from FIRST_YEAR to the end of the last year."""
    start, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    changes = [change_at(zone, start)]
    for number in range(1, (end - start) // STEP + 1):
        moment = start + number * STEP
        if change_at(zone, moment)[1:] != changes[-1][1:]:
            changes.append(change_between(zone, moment - STEP, moment))
    return changes


def change_between(zone: tzinfo, before: datetime, after: datetime) -> Change:
    """Return the change between two moments, to the minute."""
    old = change_at(zone, before)[1:]
    while after - before > MINUTE:
        middle = before + (after - before) // 2 // MINUTE * MINUTE
        before, after = (middle, after) if change_at(zone, middle)[1:] == old else (before, middle)
    return change_at(zone, after)


def change_at(zone: tzinfo, moment: datetime) -> Change:
    """Return a zone's offset and name from a moment on."""
    local = moment.astimezone(zone)
    offset = (local.utcoffset() or timedelta()) // timedelta(seconds=1)
    return Change(int(moment.timestamp()), offset, local.tzname() or "")

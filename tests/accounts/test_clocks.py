"""A viewer's clock as data for scripts, and time zones by the rules that come with the site."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.conf import settings
from django.template import Context
from django.utils import translation
from django.utils.formats import date_format

from apps.accounts.clocks import changes_of, clock_of
from apps.accounts.models import User
from apps.accounts.templatetags.clocks import clock as clock_tag
from apps.accounts.templatetags.clocks import clock_there, difference
from tests.conftest import Cast, client_of

# The letters of Django's date filter that static/js/viewer.js knows.
LETTERS = "YymndjHGhgiFMlD"


@pytest.mark.parametrize("name", sorted(available_timezones())[::12])
def test_the_changes_of_a_zone_agree_with_its_clocks(name: str) -> None:
    zone = ZoneInfo(name)
    changes = changes_of(zone, 2028)
    for hours in range(0, 28 * 365 * 24, 101):
        moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
        local = moment.astimezone(zone)
        last = [one for one in changes if one.since <= moment.timestamp()][-1]
        assert (timedelta(seconds=last.offset), last.name) == (local.utcoffset(), local.tzname()), moment


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("America/Edmonton", ("2026-03-08T08:59Z", -7, "MST"), ("2026-03-08T09:00Z", -6, "MDT")),
        ("Europe/London", ("2026-10-25T00:59Z", 1, "BST"), ("2026-10-25T01:00Z", 0, "GMT")),
        ("Pacific/Apia", ("2011-12-30T09:59Z", -10, "-10"), ("2011-12-30T10:00Z", 14, "+14")),
        ("Australia/Lord_Howe", ("2026-10-03T15:29Z", 10.5, "+1030"), ("2026-10-03T15:30Z", 11, "+11")),
    ],
)
def test_a_change_is_exact_to_the_minute(
    zone: str, before: tuple[str, float, str], after: tuple[str, float, str]
) -> None:
    changes = changes_of(ZoneInfo(zone), 2028)
    for moment, hours, name in (before, after):
        seconds = datetime.fromisoformat(moment).timestamp()
        last = [one for one in changes if one.since <= seconds][-1]
        assert (last.offset, last.name) == (hours * 3600, name)


def test_time_zone_rules_come_with_the_site_not_from_the_machine() -> None:
    # America/Edmonton keeps summer time from 2026 on, which tzdata has known since 2026.
    code = (
        "import zoneinfo, django, datetime; django.setup(); zone = 'America/Edmonton';"
        "print(zoneinfo.TZPATH, datetime.datetime(2027, 1, 1, tzinfo=zoneinfo.ZoneInfo(zone)).utcoffset())"
    )
    command = [sys.executable, "-c", code]
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "PATH": ""}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, cwd=settings.BASE_DIR)
    assert run.stdout == "() -1 day, 18:00:00\n"


@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES])
def test_scripts_know_every_letter_of_each_languages_format(language: str) -> None:
    with translation.override(language):
        data = clock_of(User(clock="12"))
    assert data
    for form in [data["full"], data["otherDay"], *data["times"]]:
        assert set(re.findall("[a-zA-Z]", re.sub(r"\\.", "", form))) <= set(LETTERS)


@pytest.mark.parametrize(
    ("clock", "moment", "shown"),
    [
        ("", "2026-03-01T20:05Z", "Mon 01:35"),
        ("12", "2026-03-01T06:30Z", "12:00 p.m."),
        ("12", "2026-03-01T18:29Z", "11:59 p.m."),
        ("12", "2026-03-01T18:30Z", "Mon 12:00 a.m."),
        ("12", "2026-03-01T05:05Z", "10:35 a.m."),
    ],
)
def test_a_time_is_shown_by_the_formats_that_scripts_get(clock: str, moment: str, shown: str) -> None:
    viewer = User(clock=clock, time_zone="Asia/Kolkata")
    data = clock_of(viewer)
    assert data
    local = datetime.fromisoformat(moment).astimezone(viewer.zone)
    html = clock_tag(Context({"user": viewer}), local)
    assert re.sub("<[^>]+>", "", html) == shown
    assert shown.endswith(date_format(local, data["times"][local.hour // 12]))
    assert f'title="{date_format(local, data["full"])} IST"' in html


def test_only_viewers_with_another_clock_than_the_site_get_its_data(cast: Cast) -> None:
    path = f"/rooms/{cast.room.slug}/"
    assert 'id="clock"' not in client_of(cast.member).get(path).content.decode()
    User.objects.filter(pk=cast.member.pk).update(clock="12")
    assert 'id="clock"' in client_of(cast.member).get(path).content.decode()


def test_a_viewer_with_another_clock_but_no_zone_has_the_sites() -> None:
    data = clock_of(User(clock="12"))
    assert data
    assert data["own"] == data["site"]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "Europe", "America/\x00"])
def test_a_zone_that_no_longer_exists_falls_back_to_the_sites(zone: str) -> None:
    person = User(time_zone=zone)
    assert person.zone == User().zone
    assert clock_there(Context({"user": User()}), person).endswith(" there")


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, ""),
        (60, ", 1 hour ahead of you"),
        (-120, ", 2 hours behind you"),
        (30, ", 0:30 hours ahead of you"),
        (-90, ", 1:30 hours behind you"),
        (345, ", 5:45 hours ahead of you"),
        (840, ", 14 hours ahead of you"),
    ],
)
def test_a_clocks_difference_is_given_to_the_minute(minutes: int, words: str) -> None:
    here = datetime(2026, 6, 1, 12, tzinfo=UTC)
    there = here.astimezone(timezone(timedelta(minutes=minutes)))
    assert difference(there, here) == words


def test_half_an_hour_is_not_called_an_hour_in_arabic() -> None:
    here = datetime(2026, 6, 1, 12, tzinfo=UTC)
    half, whole = (here.astimezone(ZoneInfo(zone)) for zone in ("Asia/Kolkata", "Asia/Karachi"))
    with translation.override("ar"):
        assert "واحدة" not in difference(half, whole)
        assert "0:30" in difference(half, whole)
        assert "واحدة" in difference(whole, here.astimezone(ZoneInfo("Asia/Dubai")))

"""Live messages show exactly the times that the reloaded page shows, in every zone."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from e2e.conftest import Join, Person
from tests.scenes import people, talk
from tests.servers import Site
from tests.sockets import SOCKET


class Viewer(NamedTuple):
    zone: str
    clock: str
    language: str
    order: str


VIEWERS = [
    # Zones whose rules changed so recently that a browser may not know.
    Viewer("America/Edmonton", "", "en", ""),
    Viewer("America/Vancouver", "12", "de", ""),
    Viewer("Africa/Casablanca", "", "ar", ""),
    # Hours that are skipped or repeated, also by half an hour or at midnight; a whole day at the date line.
    Viewer("Europe/London", "12", "en", "text"),
    Viewer("Australia/Lord_Howe", "", "de", "time"),
    Viewer("Africa/Cairo", "12", "ar", ""),
    Viewer("Pacific/Apia", "", "en", ""),
    # An odd offset, the site's own zone with another clock, and a zone that doesn't exist.
    Viewer("Asia/Kathmandu", "12", "ar", "text"),
    Viewer("", "12", "de", ""),
    Viewer("Mars/Olympus", "12", "en", "time"),
]
MOMENTS = [
    "2011-12-30T09:59:59Z",  # the last second before Apia crossed the date line
    "2011-12-30T10:00:00Z",
    "2026-03-29T00:59:59Z",  # London's skipped hour
    "2026-03-29T01:00:00Z",
    "2026-10-25T00:30:00Z",  # and the repeated one
    "2026-10-25T01:30:00Z",
    "2026-04-23T21:59:59Z",  # Cairo skips the hour after midnight
    "2026-04-23T22:00:00Z",
    "2026-10-03T15:29:59Z",  # Lord Howe skips half an hour
    "2026-10-03T15:30:00Z",
    "2026-11-28T22:59:59Z",  # midnight where the site is
    "2026-11-28T23:00:00Z",
    "2026-11-28T18:15:00Z",  # and in Kathmandu
    "2026-11-29T16:56:00Z",
    "2026-01-01T00:00:00Z",
    "2026-12-31T23:59:59Z",
]
PAGE = 50


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site({"TIME_ZONE": "Europe/Berlin"}) as site:
        yield site


def preferences_of(viewer: Viewer) -> people.Preferences:
    return people.Preferences(
        time_zone=viewer.zone, clock=viewer.clock, language=viewer.language, reading_order=viewer.order
    )


def test_live_messages_show_the_same_times_as_the_reloaded_page(site: Site, person: Join) -> None:
    keys = site.populate(users=len(VIEWERS) + 1, rooms=1, messages=0)
    site.run(
        people.set_preferences,
        {f"user{number:04}": preferences_of(viewer) for number, viewer in enumerate(VIEWERS, 1)},
    )
    readers: list[Person] = []
    for number in range(len(VIEWERS)):
        one = person(site, f"user{number + 1:04}").use_session(keys[number])
        # Zones and words must not come from the browser.
        one.page.add_init_script("Intl.DateTimeFormat = () => { throw new RangeError('Invalid time zone'); };")
        one.open_room("room-001")
        readers.append(one)
    # Posted by another process, so that the pages see it only when they reconnect.
    site.run(talk.post_in_the_past, "room-001", "user0011", MOMENTS * 4)
    for viewer, one in zip(VIEWERS, readers, strict=True):
        one.page.evaluate(f"() => {SOCKET}.close()")
        one.page.wait_for_function(
            "count => document.querySelectorAll('#messages > .message').length === count", arg=len(MOMENTS) * 4
        )
        live = one.markup()
        one.page.reload()
        one.wait_until_live()
        assert live[-PAGE:] == one.markup(), viewer
        # Older messages come from the server with their times, and stay unchanged.
        one.page.locator("#older-link").focus()
        one.page.keyboard.press("Enter")
        one.page.wait_for_function(
            "count => document.querySelectorAll('#messages > .message').length === count", arg=len(MOMENTS) * 4
        )
        assert live == one.markup(), viewer
        one.page.close()

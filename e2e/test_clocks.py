"""What arrives live shows the time that the reloaded page shows, to the letter, in every zone."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from e2e.conftest import Join, Person
from tests.servers import Site
from tests.sockets import SOCKET


class Viewer(NamedTuple):
    zone: str
    clock: str
    language: str
    order: str


VIEWERS = [
    # New rules, which a browser may not know yet.
    Viewer("America/Edmonton", "", "en", ""),
    Viewer("America/Vancouver", "12", "de", ""),
    Viewer("Africa/Casablanca", "", "ar", ""),
    # Hours that are skipped and come twice, by half an hour too, at midnight, and at the date line a whole day.
    Viewer("Europe/London", "12", "en", "text"),
    Viewer("Australia/Lord_Howe", "", "de", "time"),
    Viewer("Africa/Cairo", "12", "ar", ""),
    Viewer("Pacific/Apia", "", "en", ""),
    # Odd distances, the site's own zone by another clock, and a zone that there is not.
    Viewer("Asia/Kathmandu", "12", "ar", "text"),
    Viewer("", "12", "de", ""),
    Viewer("Mars/Olympus", "12", "en", "time"),
]
MOMENTS = [
    "2011-12-30T09:59:59Z",  # the last second before Apia went over the date line
    "2011-12-30T10:00:00Z",
    "2026-03-29T00:59:59Z",  # London's skipped hour
    "2026-03-29T01:00:00Z",
    "2026-10-25T00:30:00Z",  # and the one that comes twice
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

SAY = """
from apps.chat import services
from apps.chat.models import Message
from apps.rooms.models import Room
import uuid
room, author = Room.objects.get(slug="room-001"), User.objects.get(username="user0011")
for moment in {moments}:
    message = services.post_message(room_id=room.pk, author_id=author.pk, body=moment, client_id=uuid.uuid4())
    Message.objects.filter(pk=message.pk).update(created_at=moment)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site({"TIME_ZONE": "Europe/Berlin"}) as site:
        yield site


def test_live_messages_show_the_time_that_the_reloaded_page_shows(site: Site, person: Join) -> None:
    keys = site.populate(users=len(VIEWERS) + 1, rooms=1, messages=0)
    for number, viewer in enumerate(VIEWERS, 1):
        fields = f"time_zone={viewer.zone!r}, clock={viewer.clock!r}, language={viewer.language!r}"
        site.shell(f"User.objects.filter(username='user{number:04}').update({fields}, reading_order={viewer.order!r})")
    people: list[Person] = []
    for number in range(len(VIEWERS)):
        one = person(site, f"user{number + 1:04}").use_session(keys[number])
        # Whatever zones and words the browser has, or has not.
        one.page.add_init_script("Intl.DateTimeFormat = () => { throw new RangeError('Invalid time zone'); };")
        one.open_room("room-001")
        people.append(one)
    # By another process, so that the pages hear of it when they come back.
    site.shell(SAY.format(moments=MOMENTS * 4))
    for viewer, one in zip(VIEWERS, people, strict=True):
        one.page.evaluate(f"() => {SOCKET}.close()")
        one.page.wait_for_function(
            "count => document.querySelectorAll('#messages > .message').length === count", arg=len(MOMENTS) * 4
        )
        live = one.markup()
        one.page.reload()
        one.wait_until_live()
        assert live[-PAGE:] == one.markup(), viewer
        # What is loaded when one scrolls up is the server's already, and stays as it is.
        one.page.locator("#older-link").focus()
        one.page.keyboard.press("Enter")
        one.page.wait_for_function(
            "count => document.querySelectorAll('#messages > .message').length === count", arg=len(MOMENTS) * 4
        )
        assert live == one.markup(), viewer
        one.page.close()

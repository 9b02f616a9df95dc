"""
What Orca says of a room, held against the transcripts beside this file. `make test-speech` runs it.

TRANSCRIPTS=write writes them anew, to be read before they are committed.
"""

import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from websockets.sync.client import ClientConnection

from e2e.speech.listener import Orca
from tests import install
from tests.servers import Site
from tests.sockets import IS_LIVE

TRANSCRIPTS = Path(__file__).parent / "transcripts"
TALK = """
import uuid
from apps.chat import services
from apps.chat.models import Message
from apps.rooms import services as rooms
ada, bob = (User.objects.get(username=f"user000{number}") for number in (1, 2))
room = rooms.create_room(owner=ada, name="Workshop", topic="Wood and tools", access="open")
rooms.add_member(room=room, user=bob)
for number in range(1, 181):
    author = ada if number % 3 == 0 else bob
    services.post_message(room_id=room.pk, author_id=author.pk, body=f"Number {number}", client_id=uuid.uuid4())
room.memberships.update(last_read_seq=10**9, read_count=180)
"""


@pytest.fixture(scope="module")
def site(redis_url: str) -> Iterator[Site]:
    with Site(environment={"REDIS_URL": redis_url}) as site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    keys = site.populate(users=2, rooms=1)
    site.shell("from apps.accounts.models import User" + TALK)
    return keys


@pytest.fixture(scope="module")
def orca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orca]:
    with Orca(tmp_path_factory.mktemp("orca") / "orca") as orca:
        yield orca


@pytest.fixture
def page(site: Site, keys: list[str], orca: Orca) -> Iterator[Page]:
    """Ada's browser window, which Orca reads."""
    arguments = ["--no-sandbox", "--force-renderer-accessibility", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=install.browser(), headless=False, args=arguments, env=dict(orca.environment)
        )
        context = browser.new_context(no_viewport=True)
        context.add_cookies([{"name": "sessionid", "value": keys[0], "url": site.url}])
        page = context.new_page()
        page.set_default_timeout(20_000)
        yield page
        browser.close()


@pytest.fixture
def bob(site: Site, keys: list[str]) -> Iterator[ClientConnection]:
    """The other one, at a socket of his own."""
    with site.page(keys[1], slug="workshop") as socket:
        yield socket


def say(socket: ClientConnection, text: str) -> None:
    socket.send(json.dumps({"body": text, "client_id": str(uuid.uuid4())}))


def enter(page: Page, site: Site, orca: Orca) -> list[str]:
    """Open the room; gives what was said of it."""
    ear = orca.listen()
    page.goto(f"{site.url}/rooms/workshop/")
    page.wait_for_function(f"() => {IS_LIVE}")
    ear.until("Finished loading")
    # Into the page, off the address bar: the header has nothing there to be clicked.
    page.mouse.click(640, 20)
    return ear.lines()


def compare(name: str, lines: list[str]) -> None:
    """Hold what was said against the transcript."""
    text = re.sub(r"\b\d\d:\d\d\b", "15:30", "\n".join(lines)) + "\n"
    text = re.sub(r"\b\w+day, \d+ \w+ \d{4}\b", "Monday, 23 November 2026", text)
    file = TRANSCRIPTS / f"{name}.txt"
    if os.environ.get("TRANSCRIPTS") == "write":
        file.write_text(text)
    assert text == file.read_text()


def seconds_of_day(moment: datetime) -> float:
    return moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6


def test_opening_a_room_says_no_message(page: Page, site: Site, orca: Orca) -> None:
    lines = enter(page, site, orca)
    assert not any("Number" in line for line in lines)
    compare("opening", [line for line in lines if "Page has" in line or "Finished" in line])


def test_a_message_is_one_utterance_within_a_second(page: Page, site: Site, orca: Orca, bob: ClientConnection) -> None:
    enter(page, site, orca)
    ear, sent_at = orca.listen(), seconds_of_day(datetime.now())
    say(bob, "Who has the **saw**?")
    assert ear.lines() == ["user0002: Who has the saw?"]
    assert orca.said()[-1][0] - sent_at < 1
    compare("message", [text for _, text in orca.said()[ear.start :]])


def test_twenty_messages_in_two_seconds_are_at_most_three_utterances_in_order(
    page: Page, site: Site, orca: Orca, bob: ClientConnection
) -> None:
    enter(page, site, orca)
    ear = orca.listen()
    for number in range(20):
        say(bob, f"Burst {number}")
        time.sleep(0.1)
    lines = ear.lines()
    counts = [int(re.findall(r"^(\d+) new messages$", line)[0]) for line in lines[1:]]
    assert lines[0] == "user0002: Burst 0"
    assert (len(lines), sum(counts)) == (len(lines), 19)
    assert len(lines) <= 3


def test_loading_a_hundred_older_messages_says_nothing(page: Page, site: Site, orca: Orca) -> None:
    enter(page, site, orca)
    ear = orca.listen()
    items = page.locator("#messages .message")
    for count in (100, 150):
        items.first.scroll_into_view_if_needed()
        expect(items).to_have_count(count)
    assert ear.lines() == []


def test_ones_own_message_says_nothing_or_sent_where_that_is_wished(page: Page, site: Site, orca: Orca) -> None:
    enter(page, site, orca)
    write_by_keys(page, orca, "Mine")
    ear = orca.listen()
    page.keyboard.press("Enter")
    expect(page.locator("#messages .body").last).to_have_text("Mine")
    assert ear.lines() == []
    site.shell("from apps.accounts.models import *; User.objects.update(says_sent=True)")
    enter(page, site, orca)
    write_by_keys(page, orca, "Mine again")
    ear = orca.listen()
    page.keyboard.press("Enter")
    assert ear.lines() == ["Sent"]
    site.shell("from apps.accounts.models import *; User.objects.update(says_sent=False)")


def write_by_keys(page: Page, orca: Orca, text: str) -> None:
    """Go to the composer and write, without sending."""
    ear = orca.listen()
    page.keyboard.press("Escape")
    page.keyboard.type(text)
    ear.lines()


def test_an_edit_and_a_deletion_say_nothing(page: Page, site: Site, orca: Orca) -> None:
    enter(page, site, orca)
    ear = orca.listen()
    site.shell(
        "from apps.chat import services; from apps.chat.models import *;"
        "one, two = Message.objects.filter(room__slug='workshop', body__startswith='Number').order_by('-seq')[:2];"
        "services.edit_message(message=one, body='Changed'); services.delete_message(message=two, deleter=two.author)"
    )
    expect(page.locator("#messages .body", has_text="Changed")).to_have_count(1)
    expect(page.locator("#messages .deleted").last).to_be_attached()
    assert ear.lines() == []


def test_a_refused_message_says_why_once(page: Page, site: Site, orca: Orca) -> None:
    enter(page, site, orca)
    write_by_keys(page, orca, "Too long")
    box = page.locator("#composer-body")
    box.evaluate("box => { box.dataset.most = 99999; box.value = 'a'.repeat(10001); }")
    ear = orca.listen()
    page.keyboard.press("Enter")
    expect(page.locator("#composer-errors .error")).to_be_visible()
    lines = ear.lines()
    reasons = [line for line in lines if "this one has 10001" in line]
    assert len(reasons) == 1, lines
    compare("refused", reasons)


def test_moving_by_letters_says_author_text_and_time(page: Page, site: Site, orca: Orca) -> None:
    talked = "Message.objects.filter(room__slug='workshop').exclude(body__startswith='Number')"
    site.shell(f"from apps.chat.models import *; {talked}.delete()")
    enter(page, site, orca)
    said = []
    for key in ("End", "k", "k", "j"):
        ear = orca.listen()
        page.keyboard.press(key)
        said += [f"{key}:", *ear.lines()]
    compare("letters", said)


def test_moving_by_headings_says_days_and_authors(page: Page, site: Site, orca: Orca) -> None:
    enter(page, site, orca)
    ear = orca.listen()
    page.keyboard.press("End")
    ear.lines()
    said = []
    for key in ("shift+h", "shift+h", "h"):
        ear = orca.listen()
        orca.press(key)
        said += [f"{key}:", *ear.lines()]
    compare("headings", said)

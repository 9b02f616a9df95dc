"""
What Orca says of a room, compared with the transcripts in this folder. `make test-speech` runs it.

TRANSCRIPTS=write updates them: read them before you commit.
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
from tests.scenes import people, talk
from tests.servers import Site
from tests.sockets import IS_LIVE

TRANSCRIPTS = Path(__file__).parent / "transcripts"


@pytest.fixture(scope="module")
def site(redis_url: str) -> Iterator[Site]:
    with Site(environment={"REDIS_URL": redis_url}) as site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    keys = site.populate(users=2, rooms=1)
    site.run(talk.create_workshop)
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
    """The other user's socket."""
    with site.page(keys[1], slug="workshop") as socket:
        yield socket


def say(socket: ClientConnection, text: str) -> None:
    socket.send(json.dumps({"body": text, "client_id": str(uuid.uuid4())}))


def enter(page: Page, site: Site, orca: Orca) -> list[str]:
    """Open the room; returns what was said of it."""
    ear = orca.listen()
    page.goto(f"{site.url}/rooms/workshop/")
    page.wait_for_function(f"() => {IS_LIVE}")
    ear.until("Finished loading")
    # Moves the focus from the address bar into the page: nothing there can be clicked.
    page.mouse.click(640, 20)
    return ear.lines()


def compare(name: str, lines: list[str]) -> None:
    """Compare what was said with the transcript."""
    text = re.sub(r"\b\d\d:\d\d\b", "15:30", "\n".join(lines)) + "\n"
    text = re.sub(r"\b\w+day, \d+ \w+ \d{4}\b", "Monday, 23 November 2026", text)
    file = TRANSCRIPTS / f"{name}.txt"
    if os.environ.get("TRANSCRIPTS") == "write":
        file.write_text(text)
    assert text == file.read_text()


def seconds_of_day(moment: datetime) -> float:
    return moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6


def test_opening_a_room_says_no_messages(page: Page, site: Site, orca: Orca) -> None:
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


def test_an_own_message_says_nothing_or_sent_if_preferred(page: Page, site: Site, orca: Orca) -> None:
    enter(page, site, orca)
    write_by_keys(page, orca, "Mine")
    ear = orca.listen()
    page.keyboard.press("Enter")
    expect(page.locator("#messages .body").last).to_have_text("Mine")
    assert ear.lines() == []
    site.run(people.set_preferences_of_all, says_sent=True)
    enter(page, site, orca)
    write_by_keys(page, orca, "Mine again")
    ear = orca.listen()
    page.keyboard.press("Enter")
    assert ear.lines() == ["Sent"]
    site.run(people.set_preferences_of_all, says_sent=False)


def write_by_keys(page: Page, orca: Orca, text: str) -> None:
    """Move to the composer and write, without sending."""
    ear = orca.listen()
    page.keyboard.press("Escape")
    page.keyboard.type(text)
    ear.lines()


def test_an_edit_and_a_deletion_say_nothing(page: Page, site: Site, orca: Orca) -> None:
    enter(page, site, orca)
    ear = orca.listen()
    site.run(talk.edit_and_delete_newest, "workshop", "Number")
    expect(page.locator("#messages .body", has_text="Changed")).to_have_count(1)
    expect(page.locator("#messages .deleted").last).to_be_attached()
    assert ear.lines() == []


def test_the_reason_for_a_refusal_is_said_once(page: Page, site: Site, orca: Orca) -> None:
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
    site.run(talk.forget_all_but, "workshop", "Number")
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

"""Firefox and WebKitGTK: answers that don't come from the site, or not at all; and what they cache for Back."""

import re
import uuid
from collections.abc import Iterator

import pytest

from e2e.browsers.drivers import ENTER, Browser
from e2e.browsers.test_browsers import LAST, open_room, say, sign_in
from tests.scenes import people, talk
from tests.servers import Site
from tests.way import SiteBehind, Way

NOT_YET = "Not stored yet. It is kept here and sent again by itself."
ONLINE = "dispatchEvent(new Event('online'))"
NOTE = "document.querySelector('#pending .meta')?.textContent"


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    with Way() as way:
        yield way


@pytest.fixture(scope="module")
def site(way: Way) -> Iterator[Site]:
    with SiteBehind(way) as site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=2, rooms=4, messages=0)


@pytest.fixture
def browser(started: Browser, site: Site, keys: list[str]) -> Browser:
    """A browser whose user is signed in."""
    started.go(f"{site.url}/")
    if not started.evaluate("document.documentElement.dataset.viewer"):
        sign_in(started, site)
    return started


def test_an_edit_that_the_site_does_not_answer_is_kept_with_a_reason(browser: Browser, site: Site, way: Way) -> None:
    open_room(browser, site, "room-001")
    body = f"Edited {uuid.uuid4()}"
    browser.fill("#composer-body", body + ENTER)
    browser.until(f"{LAST}.includes('{body}')")
    browser.click("#messages .message:last-child .meta a")
    browser.until("document.getElementById('dialog').open")
    browser.fill("#dialog textarea", "More ")
    typed = browser.evaluate("document.querySelector('#dialog textarea').value")
    for state, words in (("portal", "in place of this site (200)"), ("lost", "No answer came from the server")):
        way.become(state)  # type: ignore[arg-type]
        browser.click("#dialog form .actions button")
        browser.until(f"document.querySelector('#dialog [role=alert]')?.textContent.includes('{words}')")
        assert browser.evaluate("document.querySelector('#dialog textarea').value") == typed
    way.become("open")
    browser.click("#dialog form .actions button")
    browser.until("!document.getElementById('dialog').open")
    assert site.run(talk.times_stored, typed.strip()) == 1


def test_a_text_written_without_a_network_waits_with_a_note_and_is_stored_once(
    browser: Browser, site: Site, way: Way
) -> None:
    open_room(browser, site, "room-002")
    body = f"Lost {uuid.uuid4()}"
    way.become("lost")
    browser.fill("#composer-body", body + ENTER)
    browser.until(f"{NOTE} === '{NOT_YET}'")
    way.become("open")
    browser.evaluate(ONLINE)
    browser.until(f"{LAST}.includes('{body}') && document.querySelector('#pending > li') === null")
    assert site.run(talk.times_stored, body) == 1


def test_a_text_written_while_signed_out_is_sent_after_signing_in(browser: Browser, site: Site, way: Way) -> None:
    open_room(browser, site, "room-003")
    site.run(people.end_all_sessions)
    way.become("lost")
    way.become("open")
    browser.evaluate(ONLINE)
    browser.until("document.getElementById('connection-status').textContent.includes('You are signed out')")
    body = f"Signed out {uuid.uuid4()}"
    browser.fill("#composer-body", body + ENTER)
    browser.until(f"{NOTE}.includes('Not sent: you are signed out.')")
    assert site.run(talk.times_stored, body) == 0
    sign_in(browser, site)
    open_room(browser, site, "room-003")
    browser.until(f"{LAST}.includes('{body}') && document.querySelector('#pending > li') === null")
    assert site.run(talk.times_stored, body) == 1


def test_a_room_in_a_hidden_tab_marks_nothing_as_read(browser: Browser, site: Site, keys: list[str]) -> None:
    open_room(browser, site, "room-004")
    browser.open_tab()
    with site.page(site.populate(users=2, rooms=4)[1], "room-004") as bob:
        say(bob, "You are not looking")
    browser.go(f"{site.url}/")
    unread = browser.until("document.querySelector('#room-room-004 .unread')?.textContent")
    browser.close_tab()
    assert unread == "1 unread"
    browser.until("document.visibilityState === 'visible' && document.title === 'Room 004 – Parley'")


def test_back_after_signing_out_shows_nothing_private(browser: Browser, site: Site) -> None:
    browser.go(f"{site.url}/rooms/room-001/members/")
    noting = "addEventListener('pageshow', ({ persisted }) => sessionStorage.setItem('persisted', persisted))"
    browser.evaluate(noting)
    browser.go(f"{site.url}/accounts/logout/")
    browser.click("main form button.button")
    browser.until("location.pathname === '/' && document.readyState === 'complete'")
    browser.evaluate("history.go(-2)")
    browser.until("location.pathname.endsWith('/members/') && document.readyState === 'complete'")
    browser.until(
        "!document.documentElement.dataset.viewer && getComputedStyle(document.body).visibility === 'visible'"
    )
    assert not re.search("user000", browser.evaluate("document.body.innerText"))
    print(type(browser).__name__, "kept the page for Back:", browser.evaluate("sessionStorage.getItem('persisted')"))

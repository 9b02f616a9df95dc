"""The site in other browsers: Firefox, and WebKitGTK, which shares its engine with Safari."""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection

from e2e.browsers.drivers import END, ENTER, ESCAPE, TAB, Browser, Firefox
from tests import install
from tests.scenes import talk
from tests.servers import Site
from tests.sockets import IS_LIVE

PASSWORD = "parley-demo"
LAST = "(Array.from(document.querySelectorAll('#messages .message'), one => one.textContent).at(-1) ?? '')"
SOON = 1.0  # seconds in which a change by another user must show


@pytest.fixture(scope="module")
def site(redis_url: str) -> Iterator[Site]:
    with Site(environment={"REDIS_URL": redis_url}) as site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=3, rooms=6, messages=360)


@pytest.fixture(scope="module")
def browser(started: Browser, site: Site, keys: list[str]) -> Browser:
    """A browser whose user has signed in by the form."""
    sign_in(started, site)
    return started


@pytest.fixture
def bob(site: Site, keys: list[str]) -> Iterator[ClientConnection]:
    """Another user's socket in the first room."""
    with site.page(keys[1]) as socket:
        yield socket


def sign_in(browser: Browser, site: Site) -> None:
    browser.go(f"{site.url}/accounts/login/?next=/rooms/")
    browser.fill("input[name=login]", "user0001")
    browser.fill("input[name=password]", PASSWORD + ENTER)
    browser.until("location.pathname === '/rooms/' && document.readyState === 'complete'")


def open_room(browser: Browser, site: Site, slug: str) -> None:
    browser.go(f"{site.url}/rooms/{slug}/")
    browser.until(IS_LIVE)


def say(socket: ClientConnection, body: str) -> int:
    """Post by another user's socket; returns the message's id."""
    socket.send(json.dumps({"body": body, "client_id": str(uuid.uuid4())}))
    while "<hx-sent" not in (frame := str(socket.recv(timeout=5))):
        pass
    return int(frame.partition('message="')[2].partition('"')[0])


def keep_picture(browser: Browser, name: str) -> None:
    """Keep a screenshot if the environment says where: PICTURES=folder."""
    if folder := os.environ.get("PICTURES"):
        (Path(folder) / f"{type(browser).__name__.lower()}-{name}.png").write_bytes(browser.picture())


def test_two_users_chat(browser: Browser, site: Site, bob: ClientConnection) -> None:
    open_room(browser, site, "room-001")
    message = say(bob, "Hello **there**")
    browser.until(f"{LAST}.includes('Hello there')", SOON)
    browser.until("document.getElementById('announce').textContent === 'user0002: Hello there'", SOON)
    browser.fill("#composer-body", "An answer" + ENTER)
    browser.until(f"{LAST}.includes('An answer')", SOON)
    assert browser.evaluate("document.getElementById('composer-body').value") == ""
    keep_picture(browser, "room")
    site.run(talk.edit, message, "Hello all")
    browser.until(f"document.getElementById('message-{message}').textContent.includes('Hello all')", SOON)
    site.run(talk.delete, message)
    browser.until(f"document.getElementById('message-{message}').textContent.includes('was deleted')", SOON)


def test_a_text_written_while_the_server_is_down_is_sent_once(browser: Browser, site: Site) -> None:
    open_room(browser, site, "room-002")
    site.stop()
    body = f"Written meanwhile {uuid.uuid4()}"
    browser.fill("#composer-body", body + ENTER)
    browser.until("document.querySelector('#connection-status').textContent.trim() !== ''")
    site.start()
    browser.until(f"{LAST}.includes('{body}')", 30)
    assert site.run(talk.times_stored, body) == 1
    browser.until("document.querySelector('#connection-status').textContent.trim() === ''")


def test_odd_texts_stay_inside_their_message(browser: Browser, site: Site, bob: ClientConnection) -> None:
    open_room(browser, site, "room-001")
    wide, tall, mixed = (say(bob, body) for body in ("क्" * 3000, "a\n" * 4900, "English\n\nمرحبا `(a)` بالعالم"))
    browser.until(f"document.querySelector('#body-{mixed} p:last-child') !== null", 5)
    spare = "(one => one.scrollWidth - one.clientWidth)(document.querySelector('{}'))"
    for selector in ("html", ".scroller", f"#article-{wide}"):
        assert browser.evaluate(spare.format(selector)) <= 0, selector
    assert browser.evaluate(spare.format(f"#body-{wide}")) > 0
    height = f"document.getElementById('body-{tall}').clientHeight"
    assert browser.evaluate(height) < 500
    browser.evaluate(f"document.querySelector('#message-{tall} summary').focus()")
    browser.press(ENTER)
    browser.until(f"{height} > 100000", SOON)
    direction = "getComputedStyle(document.querySelector('#body-{} {}')).direction"
    found = [browser.evaluate(direction.format(mixed, part)) for part in ("p", "p:last-child", "code")]
    assert found == ["ltr", "rtl", "ltr"]
    for message in (wide, tall, mixed):
        site.run(talk.delete, message)


def test_letter_keys_move_between_messages(browser: Browser, site: Site) -> None:
    open_room(browser, site, "room-003")
    browser.press(END)
    newest = browser.evaluate("Array.from(document.querySelectorAll('#messages article')).at(-1).id")
    assert browser.evaluate("document.activeElement.id") == newest
    browser.press("kk")
    assert browser.evaluate("document.activeElement.matches('#messages article')")
    browser.press("jj")
    assert browser.evaluate("document.activeElement.id") == newest
    assert browser.evaluate("document.activeElement.matches(':focus-visible')")
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press(ESCAPE + "jk")
    assert browser.evaluate("document.activeElement.id") == "composer-body"
    assert browser.evaluate("document.activeElement.value") == "jk"


def test_a_message_dialog_returns_the_focus_when_it_closes(browser: Browser, site: Site) -> None:
    open_room(browser, site, "room-004")
    browser.press(END + TAB + ENTER)
    browser.until("document.getElementById('dialog').open")
    browser.until("document.getElementById('dialog').contains(document.activeElement)")
    keep_picture(browser, "dialog")
    browser.press(ESCAPE)
    browser.until("!document.getElementById('dialog').open")
    browser.until("document.activeElement.closest('#messages .message:last-child') !== null")


def test_scrolling_to_the_top_loads_older_messages_and_keeps_the_place(browser: Browser, site: Site) -> None:
    open_room(browser, site, "room-005")
    first = browser.evaluate("document.querySelector('#messages .message').id")
    assert browser.evaluate("document.querySelectorAll('#messages .message').length") == 50
    browser.evaluate("document.getElementById('older-link').scrollIntoView()")
    browser.until("document.querySelectorAll('#messages .message').length > 50")
    top = f"document.getElementById('{first}').getBoundingClientRect().top"
    assert browser.evaluate(f"{top} > 0 && {top} < innerHeight")


def test_the_live_view_needs_no_script(browser: Browser, site: Site, bob: ClientConnection) -> None:
    browser.go(f"{site.url}/rooms/room-001/live/", ends=False)
    browser.until("document.getElementById('messages') !== null")
    assert browser.evaluate("document.scripts.length") == 0
    message = say(bob, "Live **without** scripts")
    browser.until(f"{LAST}.includes('Live without scripts')", SOON)
    site.run(talk.edit, message, "Changed since")
    browser.until(f"{LAST}.includes('Changed since') && {LAST}.includes('Edited')", SOON)
    # Below the list, though the list has not been closed.
    bottom = "document.getElementById('messages').getBoundingClientRect().bottom"
    composer = "document.getElementById('composer-region').getBoundingClientRect()"
    assert browser.evaluate(f"{composer}.top >= Math.min({bottom}, innerHeight) - {composer}.height")
    assert browser.evaluate(f"{composer}.bottom <= innerHeight")
    keep_picture(browser, "live-view")


def test_signing_in_writing_editing_and_reading_live_in_firefox_without_javascript(
    site: Site, keys: list[str], bob: ClientConnection
) -> None:
    if not install.firefox():
        pytest.skip("Firefox is not installed")
    browser = Firefox(javascript=False)
    try:
        sign_in(browser, site)
        browser.go(f"{site.url}/rooms/room-001/")
        browser.fill("#composer-body", "By a form")
        browser.click("#composer button")
        browser.until(f"{LAST}.includes('By a form')")
        browser.click("#messages .message:last-child .meta a")
        browser.until("document.querySelector('main textarea')?.value === 'By a form'")
        browser.fill("main textarea", ", changed")
        browser.click("main form:has(textarea) button")
        browser.until("document.body.innerText.includes('By a form, changed')")
        browser.go(f"{site.url}/rooms/room-001/live/", ends=False)
        say(bob, "Live in Firefox")
        browser.until(f"{LAST}.includes('Live in Firefox')", 2 * SOON)
    finally:
        browser.close()

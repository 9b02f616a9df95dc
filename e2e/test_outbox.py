"""What the outbox does with a text that the server never answers: it goes back to the one who wrote it."""

import json
import re
import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from e2e.conftest import MINUTES_PASSED, SERVER_AWAY, Person, type_of_join
from tests.servers import Site

MARKER = "Poison"
MOST_UNANSWERED = 5
POSTS = re.compile("/messages/$")


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=2, rooms=3, messages=0)


@pytest.fixture
def fragile_site() -> Iterator[Site]:
    """A site of its own, to be killed."""
    with Site() as site:
        yield site


def counts(page: Page) -> list[int]:
    """How often each message in the outbox got no answer."""
    stored: list[str] = page.evaluate("() => Object.keys(localStorage).sort().map(key => localStorage.getItem(key))")
    return [entry.get("unanswered", 0) for entry in map(json.loads, stored) if "client_id" in entry]


class Swallower:
    """A way to the server in which every text with the marker is lost, or answered with an error."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.swallowed = 0
        page.route_web_socket(re.compile("/ws/"), self.pass_on)
        page.route(POSTS, self.answer)

    def pass_on(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(lambda message: self.count() if MARKER in str(message) else server.send(message))

    def answer(self, route: Route) -> None:
        if MARKER in (route.request.post_data or ""):
            self.count()
            route.fulfill(status=500, body="")
        else:
            route.continue_()

    def count(self) -> None:
        self.swallowed += 1

    def let_time_pass(self, is_done: Callable[[], bool]) -> None:
        """Until something is so."""
        for _ in range(60):
            if is_done():
                return
            self.page.clock.run_for(4000)
            self.page.evaluate("() => fetch('/livez')")
        raise AssertionError(f"It was sent {self.swallowed} times")


def test_a_text_that_is_never_answered_goes_back_to_its_writer_and_the_next_one_is_sent(
    site: Site, keys: list[str], person: type_of_join
) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}|500").use_session(keys[0])
    way = Swallower(ada.page)
    ada.page.clock.install()
    page = ada.open_room("room-001")
    box = page.locator("#composer-body")
    ada.write(MARKER)
    ada.write("Wholesome")
    way.let_time_pass(lambda: max(counts(page)) >= 2)
    expect(page.locator("#pending > li")).to_have_count(2)
    page.reload()
    ada.wait_until_live()
    assert max(counts(page)) >= 2
    way.let_time_pass(lambda: box.input_value() != "")
    expect(box).to_have_value(MARKER)
    expect(page.locator("#composer-errors")).to_contain_text("did not answer")
    expect(box).to_have_attribute("aria-invalid", "true")
    ada.expect_message("Wholesome")
    ada.expect_nothing_pending()
    swallowed = way.swallowed
    # The reload may have come between a message and its count.
    assert MOST_UNANSWERED <= swallowed <= MOST_UNANSWERED + 2

    # It is not lost by a reload, and not sent by one.
    page.reload()
    ada.wait_until_live()
    page.clock.run_for(20_000)
    expect(box).to_have_value(MARKER)
    assert way.swallowed == swallowed
    box.fill("Harmless")
    box.press("Enter")
    ada.expect_message("Harmless")
    ada.expect_nothing_pending()
    assert counts(page) == []


def test_a_text_is_not_given_up_while_the_network_is_away(site: Site, keys: list[str], person: type_of_join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}|Failed to fetch").use_session(keys[0])
    ada.page.clock.install()
    page = ada.open_room("room-002")
    page.context.set_offline(True)
    # Being offline keeps an open socket open: it swallows what is sent, and is cut in the end.
    page.evaluate("document.querySelector('.live')._htmx.ws.connection.socket.send = () => {}")
    ada.write("Patience")
    for _ in range(30):
        page.clock.run_for(4000)
    page.evaluate("document.querySelector('.live')._htmx.ws?.connection?.socket?.close()")
    for _ in range(30):
        page.clock.run_for(4000)
    assert counts(page) == [0]
    expect(page.locator("#composer-body")).to_have_value("")
    page.context.set_offline(False)
    page.clock.run_for(8000)
    ada.expect_message("Patience")
    ada.expect_nothing_pending()


def test_all_that_waits_says_so_and_one_hears_when_nothing_does_any_more(
    site: Site, keys: list[str], person: type_of_join
) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|Failed to fetch").use_session(keys[0])
    page = ada.open_room("room-003")
    page.evaluate("window.said = []; document.addEventListener('say', ({ detail }) => said.push(detail))")
    page.context.set_offline(True)
    page.evaluate("document.querySelector('.live')._htmx.ws.connection.socket.close()")
    texts = ["First in the tunnel", "Second in the tunnel"]
    for number, text in enumerate(texts, start=1):
        ada.write(text)
        waiting = "Not stored yet. It is kept here and sent again by itself."
        expect(page.locator("#pending .meta")).to_have_text([waiting] * number)
    told = "Your message is not stored yet. It is kept and sent again by itself."
    assert page.evaluate("window.said").count(told) == 2
    page.context.set_offline(False)
    for text in texts:
        ada.expect_message(text)
    ada.expect_nothing_pending()
    page.wait_for_function("() => window.said.includes('Sent')")
    # Who did not ask to hear it of each message hears it of those that waited, once.
    ada.write("Outside")
    ada.expect_message("Outside")
    ada.expect_nothing_pending()
    assert page.evaluate("window.said").count("Sent") == 1


def test_who_comes_back_to_the_page_often_is_not_told_that_an_hour_went_by(
    site: Site, keys: list[str], person: type_of_join
) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|Failed to fetch").use_session(keys[0])
    page = ada.open_room("room-003")
    page.context.set_offline(True)
    page.evaluate("document.querySelector('.live')._htmx.ws.connection.socket.close()")
    ada.write("Only minutes old")
    expect(page.locator("#pending .meta")).to_contain_text("Not stored yet")
    for _ in range(70):
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/messages/")):
            page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.locator("#pending .meta")).to_contain_text("Not stored yet")
    expect(page.locator("#composer-body")).to_have_value("")
    page.context.set_offline(False)
    ada.expect_message("Only minutes old")


def test_a_server_that_dies_of_a_text_has_not_answered_it(fragile_site: Site, person: type_of_join) -> None:
    site = fragile_site
    ada: Person = person(site, "user0001", expected=SERVER_AWAY).use_session(site.populate(users=1, rooms=1)[0])
    deaths = 0

    def pass_on(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def die_once(message: str | bytes) -> None:
            nonlocal deaths
            deaths += MARKER in str(message)
            if deaths == 1:
                site.stop(signal.SIGKILL)
            else:
                server.send(message)

        socket.on_message(die_once)

    ada.page.route_web_socket(re.compile("/ws/"), pass_on)
    page = ada.open_room("room-001")
    ada.write(MARKER)
    expect(page.locator("#pending .meta")).to_contain_text("Not stored yet")
    assert counts(page) == [1]
    site.start()
    ada.expect_message(MARKER)
    ada.expect_nothing_pending()

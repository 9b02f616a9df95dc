"""The outbox: unanswered texts are kept, sent again, and returned to their author in the end."""

import json
import re
import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from e2e.conftest import MINUTES_PASSED, SERVER_AWAY, Join, Person
from tests.servers import Site
from tests.sockets import MAYBE_SOCKET, SOCKET

MARKER = "Poison"
MAX_UNANSWERED = 5
# As many requests as one attempt makes, so that the fake clock does not outrun real answers.
ROUND_TRIPS = """async () => {
  for (let count = 0; count < 3; count++) await fetch("/livez").then((answer) => answer.text()).catch(() => {});
}"""
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
    """How often each message in the outbox was not answered."""
    stored: list[str] = page.evaluate("() => Object.keys(localStorage).sort().map(key => localStorage.getItem(key))")
    return [entry.get("unanswered", 0) for entry in map(json.loads, stored) if "client_id" in entry]


class Swallower:
    """Between page and server: every text with the marker is lost, or answered with an error."""

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
        """Let the page's clock run until the condition is true."""
        for _ in range(60):
            if is_done():
                return
            self.page.clock.run_for(4000)
            self.page.evaluate(ROUND_TRIPS)
        raise AssertionError(f"It was sent {self.swallowed} times")


def test_a_text_never_answered_is_returned_and_the_next_one_is_sent(site: Site, keys: list[str], person: Join) -> None:
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
    # The reload may have come between sending a message and counting it.
    assert MAX_UNANSWERED <= swallowed <= MAX_UNANSWERED + 2

    # A reload neither loses nor sends it.
    page.reload()
    ada.wait_until_live()
    page.clock.run_for(20_000)
    expect(box).to_have_value(MARKER)
    expect(page.locator("#composer-errors")).to_contain_text("did not answer")
    assert way.swallowed == swallowed
    box.fill("Harmless")
    box.press("Enter")
    ada.expect_message("Harmless")
    ada.expect_nothing_pending()
    assert counts(page) == []


def test_a_text_is_not_given_up_while_offline(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}|Failed to fetch").use_session(keys[0])
    ada.page.clock.install()
    page = ada.open_room("room-002")
    page.context.set_offline(True)
    # Being offline keeps an open socket open: it swallows what is sent, and is cut in the end.
    page.evaluate(f"{SOCKET}.send = () => {{}}")
    ada.write("Patience")
    for _ in range(30):
        page.clock.run_for(4000)
    page.evaluate(f"{MAYBE_SOCKET}?.close()")
    for _ in range(30):
        page.clock.run_for(4000)
    assert counts(page) == [0]
    expect(page.locator("#composer-body")).to_have_value("")
    page.context.set_offline(False)
    page.clock.run_for(8000)
    ada.expect_message("Patience")
    ada.expect_nothing_pending()


def test_waiting_texts_say_so_and_their_sending_is_announced_once(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|Failed to fetch").use_session(keys[0])
    page = ada.open_room("room-003")
    page.evaluate("window.said = []; document.addEventListener('say', ({ detail }) => said.push(detail))")
    page.context.set_offline(True)
    page.evaluate(f"{SOCKET}.close()")
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
    # "Sent" is announced once for those that waited, though not preferred for each message.
    ada.write("Outside")
    ada.expect_message("Outside")
    ada.expect_nothing_pending()
    assert page.evaluate("window.said").count("Sent") == 1


def test_a_server_killed_by_a_text_counts_as_one_missing_answer(fragile_site: Site, person: Join) -> None:
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


def test_writing_more_does_not_delay_what_waits_for_an_answer(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0002", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}|500").use_session(keys[1])
    Swallower(ada.page)
    page = ada.open_room("room-002")
    page.clock.install()
    ada.write(MARKER)
    page.clock.run_for(5000)
    ada.write("Wholesome")
    with page.expect_request(POSTS, timeout=10_000):
        page.clock.run_for(4000)


def keep_trying(page: Page, times: int = 30) -> None:
    """Let minutes go by, giving the network time to answer."""
    for _ in range(times):
        page.clock.run_for(4000)
        page.evaluate(ROUND_TRIPS)


NOT_YET = "Not stored yet. It is kept here and sent again by itself."


def test_every_waiting_text_says_so_and_not_only_the_first(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=SERVER_AWAY).use_session(keys[0])
    page = ada.open_room("room-003")
    page.route(POSTS, lambda route: route.abort())
    page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close(code=1011, reason="Away"))
    page.reload()
    page.evaluate("window.said = []; document.addEventListener('say', ({ detail }) => said.push(detail))")
    for text in ("One", "Two", "Three"):
        ada.write(text)
    notes = page.locator("#pending .meta")
    expect(notes).to_have_text([NOT_YET] * 3)
    # For one more message this is announced immediately, and for that one only.
    said = len(page.evaluate("window.said"))
    ada.write("Four")
    expect(notes).to_have_text([NOT_YET] * 4)
    assert page.evaluate("window.said")[said:] == [
        "Your message is not stored yet. It is kept and sent again by itself."
    ]
    page.unroute(POSTS)
    page.evaluate("dispatchEvent(new Event('online'))")
    for text in ("One", "Two", "Three", "Four"):
        ada.expect_message(text)
    ada.expect_nothing_pending()


def test_a_text_is_not_given_up_while_a_portal_answers(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}").use_session(keys[0])
    page = ada.open_room("room-001")
    page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close(code=1011, reason="Away"))
    portal = re.compile("/messages/$|/livez$")
    page.route(portal, lambda route: route.fulfill(status=200, content_type="text/html", body="<hx-portal>Welcome"))
    page.reload()
    page.clock.install()
    ada.write("Behind a portal")
    keep_trying(page)
    assert counts(page) == [0]
    expect(page.locator("#pending .meta")).to_have_text(NOT_YET)
    page.unroute(portal)
    page.evaluate("dispatchEvent(new Event('online'))")
    ada.expect_message("Behind a portal")


def test_a_text_refused_by_the_site_is_returned_with_its_reason(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}|404").use_session(keys[0])
    page = ada.open_room("room-002")
    page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close(code=1011, reason="Away"))
    # As if the room had been deleted.
    page.route(POSTS, lambda route: route.continue_(url=f"{site.url}/rooms/no-such-room/messages/"))
    page.reload()
    page.clock.install()
    ada.write("To nobody")
    keep_trying(page)
    expect(page.locator("#composer-body")).to_have_value("To nobody")
    expect(page.locator("#composer-errors")).to_contain_text("There is nothing here")
    expect(page.locator("#composer-errors")).not_to_contain_text("did not answer")


class Hole:
    """Between page and server: no message gets through while it is open."""

    def __init__(self, page: Page) -> None:
        self.is_open = True
        page.route(POSTS, lambda route: route.abort() if self.is_open else route.continue_())
        page.route("**/livez", lambda route: route.abort() if self.is_open else route.continue_())
        page.evaluate(f"{SOCKET}.send = () => {{}}")


def test_a_text_is_not_sent_by_a_user_whose_name_is_its_authors_id(site: Site, person: Join) -> None:
    ada = person(site, "ada-at-the-library", expected=f"{SERVER_AWAY}|Failed to fetch").sign_up("/rooms/lobby/")
    ada.wait_until_live()
    Hole(ada.page)
    ada.write("Between us")
    expect(ada.page.locator("#pending > li")).to_have_count(1)
    # As if the id of her account were 42.
    move = "([key, to]) => { localStorage.setItem(to, localStorage.getItem(key)); localStorage.removeItem(key); }"
    (key,) = ada.page.evaluate("() => Object.keys(localStorage)")
    ada.page.evaluate(move, [key, re.sub(r"\d+(?=:\d+:)", "42", key, count=1)])
    ada.context.clear_cookies()
    page = ada.context.new_page()
    ada.page.close()
    other = Person("42", site, ada.context, page).sign_up("/rooms/lobby/")
    other.wait_until_live()
    other.expect_nothing_pending()
    expect(page.locator("#composer-body")).to_have_value("")
    assert "Between us" not in other.bodies()


def test_an_unreadable_waiting_text_does_not_stop_the_others(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|Failed to fetch").use_session(keys[0])
    page = ada.open_room("room-003")
    Hole(page)
    ada.write("Still here")
    expect(page.locator("#pending > li")).to_have_count(1)
    (key,) = page.evaluate("() => Object.keys(localStorage)")
    broken = ["{", "null", "[]", '{"body": 1, "at": 1}', '{"body": "x", "client_id": "] *, [x", "at": 0}', "{}"]
    for number, json_text in enumerate(broken):
        page.evaluate("([key, value]) => localStorage.setItem(key, value)", [f"{key[:-1]}{number}-broken", json_text])
    page.unroute_all()
    page.reload()
    ada.expect_message("Still here")
    ada.expect_nothing_pending()


def test_the_browser_warns_before_a_text_is_lost_that_was_not_stored(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}|Failed to fetch").use_session(keys[0])
    full = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }"
    ada.page.add_init_script(full)
    page = ada.open_room("room-003")
    hole = Hole(page)
    ada.write("Nowhere else")
    expect(page.locator("#pending > li")).to_have_count(1)
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect(page.locator("#pending > li")).to_have_count(1)
    hole.is_open = False
    page.evaluate(f"{SOCKET}.close()")
    ada.expect_message("Nowhere else")
    ada.expect_nothing_pending()
    with page.expect_event("close"):
        page.close(run_before_unload=True)

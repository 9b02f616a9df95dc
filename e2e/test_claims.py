"""What a page says is true, or is corrected: about a message, what has been read, and who is signed in."""

import re
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from e2e.conftest import MINUTES_PASSED, PASSWORD, SERVER_AWAY, Join
from tests.scenes import talk
from tests.servers import Site
from tests.sockets import SOCKET

COME_BACK = "() => dispatchEvent(new Event('focus'))"
# A browser under automation caches no pages for Back, so the page is told that it came from the cache.
KEPT = "() => { dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })); }"
SIGNED_OUT = (
    "Not sent: you are signed out. It is kept here. Sign in again, then come back to this page: it is sent then."
)


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=4, rooms=8, messages=0)


class Proxy:
    """A proxy that blocks WebSockets, as in some companies: it forwards requests, but opens no tunnel."""

    def __init__(self, port: int) -> None:
        self.port_behind = port
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=[self.listening.accept()[0]], daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            if head.startswith(b"CONNECT ") or b"upgrade: websocket" in head.lower():
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            head = re.sub(rb"^(\w+) http://[^/]+", rb"\1 ", head).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            head = re.sub(rb"(?i)\r\nConnection: keep-alive", b"", head)
            with socket.create_connection(("127.0.0.1", self.port_behind)) as server:
                server.sendall(head)
                threading.Thread(target=self.pump, args=[client, server], daemon=True).start()
                self.pump(server, client)

    def pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)

    def close(self) -> None:
        self.listening.close()


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    proxy = Proxy(site.port)
    yield proxy
    proxy.close()


# Sent


def test_behind_a_proxy_without_websockets_messages_show_as_sent(
    site: Site, keys: list[str], person: Join, proxy: Proxy
) -> None:
    way = {"server": f"http://127.0.0.1:{proxy.port}", "bypass": "<-loopback>"}
    ada = person(site, "user0001", expected=SERVER_AWAY, proxy=way).use_session(keys[0])
    page = ada.go("/rooms/room-001/")
    expect(page.locator("#connection-status")).to_contain_text("Not live at the moment")
    for text in ("One", "Two"):
        ada.write(text)
        ada.expect_message(text)
        ada.expect_nothing_pending()
    live = ada.markup()
    page.reload()
    assert ada.markup() == live
    # Messages of others that came earlier are there when the page is loaded again.
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-001")
    bob.write("Three")
    bob.expect_message("Three")
    ada.write("Four")
    ada.expect_message("Four")
    page.reload()
    assert ada.bodies() == ["One", "Two", "Three", "Four"]


def sign_in(page: Page, site: Site, name: str) -> None:
    page.goto(f"{site.url}/accounts/login/")
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).first.click()
    expect(page).to_have_url(f"{site.url}/")


def sign_out(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign Out").click()
    expect(page).to_have_url(f"{site.url}/")


def test_a_message_written_while_signed_out_is_sent_after_signing_in_again(site: Site, person: Join) -> None:
    person(site, "waiter2").sign_up()
    ada = person(site, "waiter1", expected=f"403|{SERVER_AWAY}|{MINUTES_PASSED}").sign_up("/rooms/lobby/")
    ada.wait_until_live()
    other = ada.context.new_page()
    sign_out(other, site)
    status = ada.page.locator("#connection-status")
    expect(status).to_contain_text("You are signed out")
    with ada.context.expect_page() as opened:
        status.get_by_role("link", name="Sign in (opens a new tab)").press("Enter")
    expect(opened.value).to_have_url(f"{site.url}/accounts/login/")
    opened.value.close()
    posts: list[str] = []
    ada.page.on("request", lambda request: posts.append(request.url) if request.url.endswith("/messages/") else None)
    ada.page.clock.install()
    ada.write("Not lost")
    note = ada.page.locator("#pending .meta")
    expect(note).to_have_text(SIGNED_OUT)
    ada.page.clock.run_for(120_000)
    assert len(posts) == 1
    # What is written after it is not sent either.
    ada.write("Nor this")
    expect(note).to_have_text([SIGNED_OUT] * 2)
    assert len(posts) == 1
    # It is not sent while another user is signed in.
    sign_in(other, site, "waiter2")
    with ada.page.expect_response("**/accounts/viewer/"):
        ada.page.evaluate(COME_BACK)
    ada.page.clock.run_for(20_000)
    expect(note).to_have_text([SIGNED_OUT] * 2)
    assert len(posts) == 1
    sign_out(other, site)
    sign_in(other, site, "waiter1")
    ada.page.evaluate(COME_BACK)
    ada.page.clock.run_for(1000)
    ada.expect_message("Not lost")
    ada.expect_message("Nor this")
    ada.expect_nothing_pending()
    ada.wait_until_live()
    expect(ada.page.locator("#connection-status")).to_be_hidden()
    assert len(ada.page.locator("#messages .body").get_by_text("Not lost", exact=True).all()) == 1


def test_a_message_unsent_for_an_hour_is_returned_to_its_author(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}|Failed to fetch").use_session(keys[0])
    is_cut = False

    def pass_on(socket: WebSocketRoute) -> None:
        if is_cut:
            socket.close(code=1011)
        else:
            socket.connect_to_server()

    ada.page.route_web_socket(re.compile("/ws/"), pass_on)
    page = ada.open_room("room-002")
    # A page that hears nothing for a minute reconnects, which would work.
    is_cut = True
    tries: list[str] = []

    def refuse(route: Route) -> None:
        tries.append(route.request.url)
        route.abort()

    page.route("**/messages/", refuse)
    page.route("**/livez", lambda route: route.abort())
    page.clock.install()
    page.evaluate(f"{SOCKET}.send = () => {{}}")
    ada.write("Into the void")
    for _ in range(900):
        page.clock.run_for(30_000)
        page.evaluate("() => fetch('/livez').catch(() => {})")
        if page.locator("#composer-body").input_value():
            break
    expect(page.locator("#composer-body")).to_have_value("Into the void")
    expect(page.locator("#composer-errors")).to_contain_text("could not be sent for an hour")
    ada.expect_nothing_pending()
    assert 50 <= len(tries) <= 70
    given_up_after = len(tries)
    is_cut = False
    page.reload()
    ada.wait_until_live()
    page.clock.run_for(20_000)
    expect(page.locator("#composer-body")).to_have_value("Into the void")
    expect(page.locator("#composer-errors")).to_contain_text("could not be sent for an hour")
    ada.expect_nothing_pending()
    assert len(tries) == given_up_after


@pytest.mark.parametrize("is_live", [True, False])
def test_a_text_already_stored_above_the_page_waits_no_longer(
    site: Site, keys: list[str], person: Join, *, is_live: bool
) -> None:
    ada = person(site, "user0003", expected=SERVER_AWAY).use_session(keys[2])
    slug = "room-007" if is_live else "room-008"
    known = str(uuid.uuid4())
    later = [f"Number {number}" for number in range(70)]
    site.run(talk.post, slug, "user0003", "Stored long ago", *later, client_id=known)
    if is_live:
        ada.page.route("**/messages/", lambda route: route.abort())
    else:
        ada.page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close())
    page = ada.go(f"/rooms/{slug}/")
    prefix = page.evaluate(
        "(({ elements, dataset }) => `outbox:#${elements.viewer.value}:${dataset.room}:`)(document.forms.composer)"
    )
    entry = {"body": "Stored long ago", "client_id": known, "at": 1}
    page.evaluate("([key, entry]) => localStorage.setItem(key, JSON.stringify(entry))", [prefix + known, entry])
    page.reload()
    if is_live:
        ada.wait_until_live()
    ada.write("And now")
    ada.expect_message("And now")
    ada.expect_nothing_pending()
    # Once older messages are loaded it is among them, once and in its place.
    page.locator("#older-link").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#messages > .message")).to_have_count(72)
    assert ada.bodies() == ["Stored long ago", *later, "And now"]


def test_a_message_is_retried_for_an_hour_however_many_attempts_fail(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0002", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}|Failed to fetch").use_session(keys[1])
    ada.page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close())
    ada.page.route(re.compile("/(messages/|livez)$"), lambda route: route.abort())
    ada.page.clock.install()
    page = ada.go("/rooms/room-002/")
    ada.write("Into the void")
    expect(page.locator("#pending .meta")).to_contain_text("Not stored yet")
    for _ in range(65):
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/messages/")):
            page.evaluate(COME_BACK)
    page.clock.run_for(1000)
    tries = page.evaluate("Object.values(localStorage).map(JSON.parse).find(({ body }) => body)?.tries")
    assert tries > 60
    expect(page.locator("#composer-body")).to_have_value("")
    expect(page.locator("#pending > li")).to_have_count(1)


# Read


def test_reading_is_reported_until_the_server_has_answered(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected="502|ERR_FAILED").use_session(keys[0])
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-003")
    bob.write("Read me")
    bob.expect_message("Read me")
    answers = iter(["lost", "a proxy", "a portal", "a silent portal"])

    def answer(route: Route) -> None:
        match next(answers, "ours"):
            case "lost":
                route.abort()
            case "a proxy":
                route.fulfill(status=502, body="Bad gateway")
            case "a portal":
                route.fulfill(status=200, body="Welcome to our network")
            case "a silent portal":
                route.fulfill(status=204)
            case _:
                route.continue_()

    ada.page.route("**/read/", answer)
    with ada.page.expect_response(
        lambda one: one.url.endswith("/read/") and "parley-answer" in one.headers, timeout=40_000
    ):
        ada.open_room("room-003")
    ada.go("/")
    expect(ada.page.locator("#room-room-003 .unread")).to_have_count(0)


def test_reading_is_reported_on_leaving_while_an_earlier_report_is_pending(
    site: Site, keys: list[str], person: Join
) -> None:
    ada = person(site, "user0001", expected="ERR_FAILED").use_session(keys[0])
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-004")
    bob.write("The first")
    bob.expect_message("The first")
    # No report is answered, and none times out within these seconds.
    ada.page.route("**/read/", lambda route: None)
    with ada.page.expect_request("**/read/"):
        ada.open_room("room-004")
    bob.write("The last")
    ada.expect_message("The last")
    last = ada.page.locator("#messages > .message").last.get_attribute("data-seq")
    with ada.page.expect_request(lambda one: f"seq={last}&" in (one.post_data or ""), timeout=5000):
        # As on leaving the page, once it has noticed that the message is in view.
        ada.page.evaluate("() => { setInterval(() => dispatchEvent(new PageTransitionEvent('pagehide')), 100); }")


def test_reading_is_reported_however_long_the_server_did_not_answer(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=f"{SERVER_AWAY}|{MINUTES_PASSED}").use_session(keys[0])
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-007")
    bob.write("Read me")
    bob.expect_message("Read me")
    tries = 0

    def answer(route: Route) -> None:
        nonlocal tries
        tries += 1
        if tries <= 30:
            route.abort()
        else:
            route.continue_()

    ada.page.route("**/read/", answer)
    ada.page.clock.install()
    page = ada.open_room("room-007")
    heard: list[str] = []
    page.on("response", lambda one: heard.append(one.url) if one.url.endswith("/read/") else None)
    for _ in range(60):
        page.clock.run_for(400_000)
        page.evaluate("() => fetch('/livez')")
        if heard:
            break
    assert tries > 30
    ada.go("/")
    expect(page.locator("#room-room-007 .unread")).to_have_count(0)


def test_the_title_of_a_hidden_tab_counts_unread_messages_in_any_language(
    site: Site, keys: list[str], person: Join
) -> None:
    ada, bob = person(site, "user0001").use_session(keys[0]), person(site, "user0002").use_session(keys[1])
    bob.open_room("room-004")
    for number in range(12):
        bob.write(f"Number {number}")
    bob.expect_message("Number 11")
    bob.expect_nothing_pending()
    with ada.page.expect_response("**/read/"):
        ada.open_room("room-004")
    # Opened again, in a tab that is hidden from the start.
    ada.page.add_init_script("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    ada.open_room("room-004")
    expect(ada.page).to_have_title("Room 004 – Parley")
    bob.write("Look")
    ada.expect_message("Look")
    expect(ada.page).to_have_title("(1 unread) Room 004 – Parley")
    # As in a translation that puts the number elsewhere.
    ada.page.evaluate("() => { window.ngettext = (one, many, number) => `%s) neu (`; }")
    for number in (2, 3):
        bob.write(f"Look {number}")
        ada.expect_message(f"Look {number}")
        expect(ada.page).to_have_title(f"({number}) neu () Room 004 – Parley")
    bob.delete("Look 3")
    expect(ada.page).to_have_title("(2) neu () Room 004 – Parley")


def test_a_first_load_in_a_hidden_tab_marks_nothing_as_read(site: Site, person: Join) -> None:
    bob = person(site, "talker").sign_up("/rooms/lobby/")
    ada = person(site, "reader").sign_up()
    bob.wait_until_live()
    bob.write("Unseen")
    bob.expect_message("Unseen")
    hidden = ada.context.new_page()
    hidden.add_init_script("Object.defineProperty(document, 'hidden', { value: true })")
    hidden.goto(f"{site.url}/rooms/lobby/")
    expect(hidden.locator("#messages .body", has_text="Unseen")).to_have_count(1)
    hidden.close()
    ada.go("/")
    expect(ada.page.locator("#room-lobby .unread")).to_have_text("1 unread")


def test_scrolling_retries_older_messages_that_failed_to_load(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected="ERR_FAILED|Failed to fetch|htmx").use_session(keys[0])
    site.run(talk.post, "room-005", "user0002", *(f"Number {number}" for number in range(70)))
    page = ada.open_room("room-005")
    asked: list[str] = []

    def fail_once(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    page.route(re.compile(r"\?before="), fail_once)
    scroller = page.locator("#scroller")
    scroller.evaluate("one => one.scrollTo(0, -one.scrollHeight)")
    expect(page.locator("#older-link")).to_be_in_viewport()
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(({ name }) => name.includes('before='))"
    )
    items = page.locator("#messages > .message")
    expect(items).to_have_count(50)
    scroller.evaluate("one => one.scrollTo(0, 0)")
    expect(page.locator("#older-link")).not_to_be_in_viewport()
    scroller.evaluate("one => one.scrollTo(0, -one.scrollHeight)")
    expect(items).to_have_count(70)


# Signed in


def test_back_after_signing_out_shows_nothing_private(site: Site, person: Join) -> None:
    page = person(site, "backward", expected="404").sign_up("/rooms/lobby/members/").page
    expect(page.get_by_role("main")).to_contain_text("backward")
    page.goto(f"{site.url}/accounts/profile/")
    sign_out(page, site)
    for _ in range(3):  # to the pages for signing out, the profile and the members
        page.go_back()
        expect(page.locator("html")).not_to_have_attribute("data-viewer", re.compile("."))
        expect(page.get_by_text("backward")).to_have_count(0)


def test_a_cached_page_of_the_signed_in_user_is_not_reloaded(site: Site, person: Join) -> None:
    page = person(site, "returning").sign_up("/rooms/lobby/members/").page
    page.evaluate("() => { window.isKept = true; }")
    with page.expect_response("**/accounts/viewer/"):
        # In one step: the answer may come before another.
        assert page.evaluate(f"() => {{ ({KEPT})(); return document.body.style.visibility; }}") == "hidden"
    expect(page.locator("body")).not_to_have_css("visibility", "hidden")
    assert page.evaluate("window.isKept")


def test_a_cached_page_of_another_user_is_reloaded(site: Site, person: Join) -> None:
    ada = person(site, "elder", expected="403|404|WebSocket").sign_up("/rooms/lobby/")
    ada.wait_until_live()
    other = ada.context.new_page()
    sign_out(other, site)
    with ada.page.expect_navigation():
        ada.page.evaluate(KEPT)
    expect(ada.page.locator("html")).not_to_have_attribute("data-viewer", re.compile("."))


def test_the_signed_in_user_is_checked_on_return_to_the_page_and_not_per_key(site: Site, person: Join) -> None:
    page = person(site, "mover", expected=SERVER_AWAY).sign_up("/rooms/lobby/").page
    sign_out(page.context.new_page(), site)
    expect(page.locator("#connection-status")).to_contain_text("You are signed out")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/viewer/" in request.url else None)
    for selector in ("#scroller", "#composer-body", "#scroller"):
        page.locator(selector).focus()
    with page.expect_response("**/accounts/viewer/"):
        page.evaluate(COME_BACK)
    assert len(asked) == 1


@pytest.mark.parametrize("is_shared", [True, False])
def test_signing_out_of_a_shared_computer_deletes_waiting_texts(
    site: Site, keys: list[str], person: Join, *, is_shared: bool
) -> None:
    ada = person(site, "shares" if is_shared else "keeps", expected=SERVER_AWAY).sign_up("/rooms/lobby/")
    ada.wait_until_live()
    ada.go("/accounts/logout/")
    expect(ada.page.locator("#waiting")).to_be_hidden()
    pk = ada.page.evaluate("document.documentElement.dataset.viewer")
    for key in (f"outbox:#{pk}:1:x", "outbox:#0:1:y"):
        ada.page.evaluate("key => localStorage.setItem(key, '{}')", key)
    ada.page.reload()
    expect(ada.page.locator("#waiting")).to_contain_text("1 message that you wrote here is not sent yet.")
    if is_shared:
        ada.page.get_by_label("Others use this computer too: delete them from it").check()
    ada.page.get_by_role("main").get_by_role("button", name="Sign Out").click()
    expect(ada.page).to_have_url(f"{site.url}/")
    left = ada.page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('outbox:')).sort()")
    # Those of another user stay in any case.
    assert left == (["outbox:#0:1:y"] if is_shared else ["outbox:#0:1:y", f"outbox:#{pk}:1:x"])


def test_another_tab_does_not_restore_texts_deleted_on_signing_out(site: Site, person: Join) -> None:
    ada = person(site, "tabs", expected=f"{SERVER_AWAY}|502|403").sign_up()
    ada.page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close())
    ada.page.route("**/messages/", lambda route: route.fulfill(status=502))
    page = ada.go("/rooms/lobby/")
    ada.write("For me alone")
    expect(page.locator("#pending .meta")).to_contain_text("Not stored yet")
    other = ada.context.new_page()
    other.goto(f"{site.url}/accounts/logout/")
    other.get_by_label("Others use this computer too: delete them from it").check()
    # Written in the meantime, and about to be tried again.
    ada.write("For me alone, too")
    expect(page.locator("#pending > li")).to_have_count(2)
    other.get_by_role("main").get_by_role("button", name="Sign Out").click()
    expect(other).to_have_url(f"{site.url}/")
    ada.expect_nothing_pending()
    page.evaluate(COME_BACK)
    assert other.evaluate("Object.keys(localStorage).filter(key => key.startsWith('outbox:'))") == []


# Edited


def test_an_edit_of_a_message_that_has_since_changed_keeps_both_texts(
    site: Site, keys: list[str], person: Join
) -> None:
    desk = person(site, "user0001", expected="409").use_session(keys[0])
    desk.open_room("room-006")
    desk.write("First")
    desk.expect_message("First")
    desk.expect_nothing_pending()
    phone = person(site, "user0001").use_session(keys[0])
    phone.open_room("room-006")
    desk.page.locator("#messages .meta a").click()
    dialog = desk.page.get_by_role("dialog")
    dialog.get_by_label("Message").fill("From the desk")
    phone.edit("First", "From the phone")
    desk.expect_message("From the phone")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("This message was changed meanwhile")
    expect(dialog.get_by_label("The text as it is now")).to_have_value("From the phone")
    box = dialog.get_by_label("Message", exact=True)
    expect(box).to_have_value("From the desk")
    # Screen readers hear the reason with the box, and the focus stays in the dialog.
    expect(box).to_be_focused()
    expect(box).to_have_accessible_description(re.compile("This message was changed meanwhile"))
    expect(box).to_be_in_viewport()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    desk.expect_message("From the desk")
    phone.expect_message("From the desk")

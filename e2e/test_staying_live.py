"""A page stays live, reconnects automatically, and says when it can't."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from e2e.conftest import MINUTES_PASSED, PASSWORD, SERVER_AWAY, Join, Person
from e2e.test_live import say_so_many
from tests import install
from tests.scenes import talk
from tests.servers import Postgres, Site
from tests.sockets import IS_LIVE, SOCKET


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=4, rooms=4, messages=0)


def test_a_page_says_when_it_loses_its_connection_and_when_it_is_live_again(
    site: Site, keys: list[str], person: Join
) -> None:
    ada = person(site, "user0001", expected=SERVER_AWAY).use_session(keys[0])
    page = ada.open_room("room-001")
    expect(page.locator("#connection-status")).to_be_hidden()
    spoken = page.evaluate_handle(
        """() => {
          const lines = [];
          const region = document.getElementById("announce");
          new MutationObserver(() => region.textContent && lines.push(region.textContent))
            .observe(region, {childList: true});
          return lines;
        }"""
    )
    page.context.set_offline(True)
    page.evaluate(f"{SOCKET}.close()")
    expect(page.locator("#connection-status")).to_have_text(
        "Not live at the moment. Trying to connect again; you can go on writing."
    )
    page.wait_for_timeout(4000)
    page.context.set_offline(False)
    # Immediately, though by now it tries only every few seconds.
    page.wait_for_function(f"() => {IS_LIVE}", timeout=1000)
    expect(page.locator("#connection-status")).to_be_hidden()
    expect(page.locator("#announce")).to_have_text("Live again.")
    assert spoken.json_value() == [
        "Not live at the moment. Trying to connect again; you can go on writing.",
        "Live again.",
    ]


def test_a_short_break_is_not_announced(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-001")
    page.evaluate(f"() => {{ window.first = {SOCKET}; window.first.close(); }}")
    page.wait_for_function(f"() => {IS_LIVE} && {SOCKET} !== window.first")
    assert page.evaluate("document.getElementById('announce').textContent") == ""
    expect(page.locator("#connection-status")).to_be_hidden()


def test_a_connection_on_which_the_server_is_silent_is_replaced(site: Site, keys: list[str], person: Join) -> None:
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-002")
    ada = person(site, "user0001", expected=MINUTES_PASSED).use_session(keys[0])
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        server = socket.connect_to_server()
        is_silent = len(sockets) == 1
        server.on_message(lambda message: None if is_silent else socket.send(message))

    ada.page.route_web_socket(re.compile("/ws/"), pass_on)
    ada.page.clock.install()
    ada.go("/rooms/room-002/")
    ada.wait_until_live()
    bob.write("Can you hear me?")
    bob.expect_message("Can you hear me?")
    assert ada.bodies() == []
    ada.page.clock.run_for(60_000)
    ada.expect_message("Can you hear me?")
    assert len(sockets) == 2


def test_going_back_to_a_room_shows_it_live(site: Site, keys: list[str], person: Join) -> None:
    ada, bob = person(site, "user0001").use_session(keys[0]), person(site, "user0002").use_session(keys[1])
    ada.open_room("room-003")
    bob.open_room("room-003")
    ada.write("Before")
    ada.expect_message("Before")
    ada.go("/rooms/")
    bob.write("Meanwhile")
    bob.expect_message("Meanwhile")
    ada.page.go_back()
    ada.expect_message("Meanwhile")
    ada.wait_until_live()
    bob.write("After")
    ada.expect_message("After")
    ada.page.go_forward()
    ada.page.go_back()
    ada.wait_until_live()
    bob.write("And after")
    ada.expect_message("And after")
    assert ada.bodies() == ["Before", "Meanwhile", "After", "And after"]


def test_a_page_in_the_background_keeps_receiving(site: Site, keys: list[str], person: Join) -> None:
    ada, bob = person(site, "user0001").use_session(keys[0]), person(site, "user0002").use_session(keys[1])
    page = ada.open_room("room-004")
    bob.open_room("room-004")
    page.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", {get: () => true});
          Object.defineProperty(document, "visibilityState", {get: () => "hidden"});
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    bob.write("You are not looking")
    ada.expect_message("You are not looking")


def second_tab(ada: Person, path: str) -> Page:
    page = ada.context.new_page()
    page.goto(ada.site.url + path)
    return page


def test_signing_out_in_another_tab_ends_this_one_and_says_why(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "newcomer1", expected="WebSocket").sign_up("/rooms/lobby/")
    ada.wait_until_live()
    other = second_tab(ada, "/accounts/logout/")
    other.get_by_role("main").get_by_role("button", name="Sign Out").click()
    expect(ada.page.locator("#connection-status")).to_contain_text("You are signed out", timeout=2000)


def test_a_new_password_keeps_the_pages_of_the_same_browser_live(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "newcomer2").sign_up("/rooms/lobby/")
    ada.wait_until_live()
    ada.page.evaluate(f"() => {{ window.first = {SOCKET}; }}")
    other = second_tab(ada, "/accounts/password/change/")
    new = "one more horse 99"
    for field, value in {"oldpassword": PASSWORD, "password1": new, "password2": new}.items():
        other.locator(f"input[name={field}]").fill(value)
    other.get_by_role("main").get_by_role("button").first.click()
    ada.page.wait_for_function(f"() => {IS_LIVE} && {SOCKET} !== window.first")
    expect(ada.page.locator("#connection-status")).to_be_hidden()
    ada.write("Still me")
    ada.expect_message("Still me")
    ada.expect_nothing_pending()


def test_a_page_of_an_older_version_is_asked_to_reload_for_as_long_as_it_is_open(
    site: Site, keys: list[str], person: Join
) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    site.run(talk.post, "room-003", "user0002", "Before the upgrade")
    ada.page.add_init_script(
        """document.addEventListener("htmx:ws:before:connection", ({ detail: { connection } }) => {
          if (!sessionStorage.isNew) connection.url = connection.url.replace(/frames=[0-9]+/, "frames=1");
        }, true)"""
    )
    page = ada.go("/rooms/room-003/")
    box = page.locator("#composer-body")
    expect(page.locator("#farewell")).to_be_visible()
    expect(page.locator("#alert")).to_have_text(page.locator("#farewell").inner_text().removesuffix(" Reload"))
    box.fill("Half a text")
    # Each request takes away what was said of the one before, and not this.
    page.locator("#messages .meta a").last.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#farewell")).to_be_visible()
    page.evaluate("sessionStorage.isNew = 'yes'")
    box.focus()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("link", name="Reload")).to_be_focused()
    page.keyboard.press("Enter")
    ada.wait_until_live()
    expect(page.locator("#farewell")).to_have_count(0)
    expect(box).to_have_value("Half a text")


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    if not install.postgres_folder():
        pytest.skip("PostgreSQL is not installed")
    with Postgres() as postgres:
        yield postgres


def test_a_text_written_while_the_database_is_down_is_sent_later(postgres: Postgres, person: Join) -> None:
    with Site({"DATABASE_URL": postgres.url}) as site:
        key = site.populate(users=2, rooms=1)[0]
        ada = person(site, "user0001", expected="503|WebSocket").use_session(key)
        page = ada.open_room("room-001")
        plain = person(site, "user0001", javascript=False, expected="503").use_session(
            ada.context.cookies()[0]["value"]
        )
        plain.go("/rooms/room-001/")
        postgres.stop()
        ada.write("Important")
        expect(page.locator("#pending .meta")).to_have_text("Not stored yet. It is kept here and sent again by itself.")
        expect(page.locator("#announce")).to_contain_text("not stored yet")
        plain.post("Without a script")
        expect(plain.page.get_by_role("heading", level=1)).to_have_text("Our database does not answer")
        expect(plain.page.get_by_label("Message")).to_have_value("Without a script")
        postgres.start()
        ada.expect_message("Important")
        ada.expect_nothing_pending()
        plain.page.get_by_role("button", name="Send again").click()
        expect(plain.page.locator("#messages .body").get_by_text("Without a script", exact=True)).to_have_count(1)
        ada.expect_message("Without a script")
        page.reload()
        assert sorted(ada.bodies()) == ["Important", "Without a script"]


def test_a_page_that_grows_drops_its_oldest_messages_and_loads_them_again(
    site: Site, keys: list[str], person: Join
) -> None:
    ada, bob = person(site, "user0001").use_session(keys[0]), person(site, "user0002").use_session(keys[1])
    page = ada.open_room("room-004")
    bob.open_room("room-004")
    say_so_many(bob, 420)
    bob.expect_message("Number 420")
    ada.expect_message("Number 420")
    items = page.locator("#messages > .message")
    assert 200 <= items.count() <= 400
    assert ada.bodies()[-200:] == [f"Number {number}" for number in range(221, 421)]
    count = items.count()
    page.locator("#older-link").scroll_into_view_if_needed()
    expect(items).to_have_count(count + 50)
    bodies = ada.bodies()
    numbers = [int(body.removeprefix("Number ")) for body in bodies if body.startswith("Number")]
    assert numbers == list(range(numbers[0], 421))
    # While older messages are in view, none are dropped.
    bob.write("Something new")
    ada.expect_message("Something new")
    shown = ada.bodies()
    # Even older ones may have been loaded, if their link came into view again.
    oldest = shown.index(bodies[0])
    assert shown[oldest : oldest + len(bodies)] == bodies

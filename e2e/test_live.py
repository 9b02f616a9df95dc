"""What arrives live, and what survives when something breaks."""

import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from e2e.conftest import REFUSED, SERVER_AWAY, Join, Person
from tests.scenes import talk
from tests.servers import Site
from tests.sockets import SOCKET

RECONNECTED = 30_000  # milliseconds: twice the longest pause between two attempts


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=6, rooms=12, messages=0)


class Pair:
    """Two users who have the same room open; the first one owns it."""

    def __init__(self, person: Join, site: Site, keys: list[str], slug: str, **options: str) -> None:
        self.slug = slug
        self.one = person(site, "user0001", **options).use_session(keys[0])
        self.two = person(site, "user0002", **options).use_session(keys[1])
        for each in (self.one, self.two):
            each.open_room(slug)


def test_an_edit_and_a_deletion_show_on_the_other_page(site: Site, keys: list[str], person: Join) -> None:
    pair = Pair(person, site, keys, "room-001")
    pair.one.write("Frist")
    pair.one.write("Second")
    pair.two.expect_message("Second")
    page = pair.one.page
    page.locator("#messages .message", has_text="Frist").locator(".meta a").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Message").fill("")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_label("Message").fill("First")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    pair.two.expect_message("First")
    expect(pair.two.page.locator("#messages .edited")).to_have_count(1)
    assert pair.two.bodies() == ["First", "Second"]
    # The focus returns to the link, though the message has since been swapped.
    expect(page.locator("#messages .message", has_text="First").locator(".meta a")).to_be_focused()

    page.locator("#messages .message", has_text="Second").locator(".meta a").click()
    dialog.get_by_text("Delete this message").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    pair.two.expect_message("This message was deleted.")
    assert pair.two.bodies() == ["First", "This message was deleted."]
    live = pair.two.markup()
    pair.two.open_room("room-001")
    assert pair.two.markup() == live


def test_the_dialog_says_what_is_wrong_with_an_edit(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=REFUSED).use_session(keys[0])
    ada.open_room("room-002")
    ada.write("Short")
    ada.page.locator("#messages .meta a").last.click()
    dialog = ada.page.get_by_role("dialog")
    dialog.get_by_label("Message").fill("a" * 10_001)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("this one has 10001")).to_be_visible()
    expect(dialog.get_by_label("Message")).to_have_value("a" * 10_001)


def test_a_new_name_topic_and_member_show_on_open_pages(site: Site, keys: list[str], person: Join) -> None:
    pair = Pair(person, site, keys, "room-003")
    pair.one.go("/rooms/room-003/settings/")
    pair.one.page.get_by_label("Name").first.fill("The Garden")
    pair.one.page.get_by_label("Topic").fill("Under the tree")
    pair.one.page.get_by_role("button", name="Save").click()
    expect(pair.two.page.get_by_role("heading", level=1)).to_have_text("The Garden")
    expect(pair.two.page.locator(".topic")).to_have_text("Under the tree")
    expect(pair.two.page).to_have_title("The Garden – Parley")
    # The page still has the old address, and keeps working.
    pair.two.write("Nice here")
    pair.one.expect_message("Nice here")
    newcomer = person(site, "newcomer").sign_up("/rooms/the-garden/")
    newcomer.page.get_by_role("button", name="Join this room").click()
    expect(pair.two.page.locator("#members-panel")).to_contain_text("newcomer")
    expect(pair.two.page.locator("#member-count")).to_have_text("7")


def test_a_removed_member_is_told_and_sees_nothing_more(site: Site, keys: list[str], person: Join) -> None:
    pair = Pair(person, site, keys, "room-004")
    pair.one.go("/rooms/room-004/members/")
    pair.one.page.get_by_text("Change user0002").click()
    pair.one.page.get_by_role("button", name="Remove user0002").click()
    expect(pair.two.page.locator("#farewell")).to_contain_text("You are no longer a member", timeout=1000)
    expect(pair.two.page.locator("#alert")).to_have_text("You are no longer a member of this room.")
    expect(pair.two.page.locator("#composer")).to_have_count(0)
    # Said once: in place of the composer, and by the alert.
    expect(pair.two.page.locator("#connection-status")).to_be_hidden()
    pair.one.open_room("room-004")
    pair.one.write("Without them")
    pair.one.expect_message("Without them")
    assert "Without them" not in pair.two.bodies()


def test_scrolling_up_loads_older_messages_and_keeps_the_place(site: Site, keys: list[str], person: Join) -> None:
    site.populate(users=6, rooms=5, messages=600)
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-005")
    items = page.locator("#messages > .message")
    expect(items).to_have_count(50)
    expect(items.last).to_be_in_viewport()
    top = page.locator("#messages > .message").first
    top_id = top.get_attribute("id")
    top.scroll_into_view_if_needed()
    expect(items).to_have_count(100)
    expect(page.locator(f"#{top_id}")).to_be_in_viewport()
    page.locator("#older").scroll_into_view_if_needed()
    expect(page.get_by_text("This is where Room 005 begins.")).to_be_visible()
    expect(items).to_have_count(120)
    sequence = [
        int(seq) for seq in page.eval_on_selector_all("#messages > .message", "all => all.map(one => one.dataset.seq)")
    ]
    assert sequence == sorted(set(sequence))


def test_in_a_low_window_older_messages_load_only_by_their_link(site: Site, keys: list[str], person: Join) -> None:
    site.populate(users=6, rooms=5, messages=600)
    ada = person(site, "user0001").use_session(keys[0])
    ada.page.set_viewport_size({"width": 320, "height": 256})
    asked: list[str] = []
    ada.page.on("request", lambda request: asked.append(request.url) if "before=" in request.url else None)
    page = ada.open_room("room-005")
    # The whole page scrolls there, so loading automatically would not stop before the first message.
    expect(page.locator("#older-link")).to_be_in_viewport()
    page.evaluate("() => fetch(location.href).then(answer => answer.text())")
    assert asked == []
    page.locator("#older-link").click()
    expect(page.locator("#messages > .message").nth(99)).to_be_attached()
    expect(page.locator("#messages > .message").nth(49).locator("article")).to_be_focused()
    expect(page.locator("#messages > .message").nth(49)).to_be_in_viewport()
    assert len(asked) == 1


def test_a_permalink_leads_to_the_message_in_its_conversation(site: Site, keys: list[str], person: Join) -> None:
    site.populate(users=6, rooms=5, messages=600)
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.go("/rooms/room-005/?after=0")
    first = page.locator("#messages > .message").first
    name = first.get_attribute("id")
    first.locator(".meta a").click()
    page.get_by_role("dialog").get_by_role("link", name="See it in the conversation").click()
    expect(page).to_have_url(re.compile(f"/rooms/room-005/.at=[0-9]+#{name}$"))
    expect(page.locator(f"#{name}")).to_be_in_viewport()


def test_messages_being_read_stay_in_place_when_others_arrive(site: Site, keys: list[str], person: Join) -> None:
    site.populate(users=6, rooms=5, messages=600)
    pair = Pair(person, site, keys, "room-005")
    page = pair.two.page
    reading = page.locator("#messages > .message").nth(20)
    reading.scroll_into_view_if_needed()
    before = reading.bounding_box()
    for number in range(5):
        pair.one.write(f"New {number}")
    pair.two.expect_message("New 4")
    after = reading.bounding_box()
    assert before and after
    assert abs(before["y"] - after["y"]) < 2


def test_a_refused_message_returns_to_the_box_with_the_reason(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-006")
    page.evaluate("document.getElementById('composer-body').dataset.most = 99999")
    text = "long " * 2001
    page.locator("#composer-body").fill(text)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#composer-errors")).to_contain_text("Shorten it, or send it in parts.")
    expect(page.locator("#composer-body")).to_have_value(text)
    expect(page.locator("#composer-body")).to_have_attribute("aria-invalid", "true")
    ada.expect_nothing_pending()
    page.locator("#composer-body").fill("Short")
    page.locator("#composer-body").press("Enter")
    ada.expect_message("Short")
    expect(page.locator("#composer-errors")).to_be_empty()
    assert not page.locator("#composer-body").get_attribute("aria-invalid")


def test_sending_shows_at_once_clears_the_box_and_keeps_the_focus(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-007")
    # In the same moment as the key, whatever the server does.
    page.locator("#composer-body").fill("Now")
    seen = page.evaluate(
        """() => {
          const box = document.getElementById("composer-body");
          box.focus();
          box.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}));
          return new Promise((resolve) => setTimeout(() => resolve([
            box.value, document.activeElement === box,
            document.querySelectorAll("#pending > li, #messages > .message").length,
          ])));
        }"""
    )
    assert seen == ["", True, 1]
    ada.expect_message("Now")
    ada.expect_nothing_pending()


def test_shift_and_enter_adds_a_line(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-008")
    page.locator("#composer-body").press_sequentially("one")
    page.locator("#composer-body").press("Shift+Enter")
    page.locator("#composer-body").press_sequentially("two")
    page.locator("#composer-body").press("Enter")
    ada.expect_message("one\ntwo")


def test_messages_are_sent_by_form_if_sockets_are_blocked(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected=SERVER_AWAY).use_session(keys[0])
    ada.page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close(code=3001))
    ada.go("/rooms/room-009/")
    ada.write("Sent all the same")
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-009")
    bob.expect_message("Sent all the same")


def test_an_unacknowledged_message_survives_a_reload_and_is_stored_once(
    site: Site, keys: list[str], person: Join
) -> None:
    ada = person(site, "user0001", expected=SERVER_AWAY).use_session(keys[0])
    page = ada.open_room("room-010")
    # Neither way out works: the socket swallows what is sent, the form's address fails.
    page.evaluate(f"{SOCKET}.send = () => {{}}")
    blocked = re.compile("/messages/$")

    def fail(route: Route) -> None:
        route.abort()

    page.route(blocked, fail)
    ada.write("First thought")
    ada.write("Second thought")
    expect(page.locator("#pending > li")).to_have_count(2)
    page.reload()
    page.unroute(blocked, fail)
    ada.expect_message("First thought")
    ada.expect_message("Second thought")
    ada.expect_nothing_pending()
    page.reload()
    ada.wait_until_live()
    assert ada.bodies() == ["First thought", "Second thought"]


def say_so_many(writer: Person, count: int) -> None:
    """Post by the form's address, as fast as possible, from the writer's page."""
    writer.page.evaluate(
        """async (count) => {
          const form = document.getElementById("composer");
          for (let number = 1; number <= count; number++) {
            const fields = new URLSearchParams({
              body: `Number ${number}`,
              client_id: crypto.randomUUID(),
              csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value,
            });
            const answer = await fetch(form.action, {method: "POST", body: fields, headers: {"HX-Request": "true"}});
            if (!answer.ok) throw new Error(answer.status);
          }
        }""",
        count,
    )


def test_two_hundred_messages_posted_while_a_page_is_cut_off_arrive_in_order(
    site: Site, keys: list[str], person: Join
) -> None:
    pair = Pair(person, site, keys, "room-011", expected=SERVER_AWAY)
    pair.one.write("Before")
    pair.two.expect_message("Before")
    pair.two.context.set_offline(True)
    # Being offline keeps an open socket open: cut it, as the network would.
    pair.two.page.evaluate(f"{SOCKET}.close()")
    expect(pair.two.page.locator("#connection-status")).to_contain_text("Not live")
    say_so_many(pair.one, 200)
    pair.two.context.set_offline(False)
    expect(pair.two.page.locator("#messages > .message")).to_have_count(201, timeout=RECONNECTED)
    assert pair.two.bodies() == ["Before"] + [f"Number {number}" for number in range(1, 201)]
    expect(pair.two.page.locator("#connection-status")).to_be_hidden()
    assert pair.two.markup() == pair.one.markup()


def test_after_a_thousand_missed_messages_the_newest_show_and_scrolling_loads_more(
    fragile_site: Site, person: Join
) -> None:
    site = fragile_site
    ada = person(site, "user0001", expected=SERVER_AWAY).use_session(site.populate(users=2, rooms=1, messages=3)[0])
    page = ada.open_room("room-001")
    site.stop()
    site.populate(users=2, rooms=1, messages=1003)
    site.start()
    items = page.locator("#messages > .message")
    expect(items).to_have_count(50, timeout=RECONNECTED)
    live = ada.markup()
    ada.write("Here again")
    ada.expect_message("Here again")
    page.locator("#older").scroll_into_view_if_needed()
    expect(items).to_have_count(101)
    ada.go("/rooms/room-001/")
    assert ada.markup()[:-1] == live[1:]


@pytest.fixture
def fragile_site() -> Iterator[Site]:
    """A site of its own, to be killed."""
    with Site() as site:
        yield site


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_server_loses_and_duplicates_nothing(fragile_site: Site, person: Join, how: signal.Signals) -> None:
    site = fragile_site
    pair = Pair(person, site, site.populate(), "room-001", expected=SERVER_AWAY)
    pair.one.write("Before")
    pair.two.expect_message("Before")
    pair.one.expect_nothing_pending()
    site.stop(how)
    pair.one.write("While it was away")
    pair.two.write("I write too")
    expect(pair.one.page.locator("#connection-status")).to_contain_text("Not live")
    expect(pair.one.page.locator("#pending > li")).to_have_count(1)
    site.start()
    for each in (pair.one, pair.two):
        expect(each.page.locator("#messages > .message")).to_have_count(3, timeout=RECONNECTED)
        expect(each.page.locator("#connection-status")).to_be_hidden(timeout=RECONNECTED)
        each.expect_nothing_pending()
    pair.one.write("After")
    for each in (pair.one, pair.two):
        each.expect_message("After")
    assert pair.one.bodies() == pair.two.bodies()
    assert sorted(pair.one.bodies()) == ["After", "Before", "I write too", "While it was away"]
    assert pair.one.markup() == pair.two.markup()


GONE_BACK = 45_000  # milliseconds: a check every 30 s, a second one, and reconnecting


def test_open_pages_follow_a_database_that_goes_back_in_time(fragile_site: Site, person: Join) -> None:
    pair = Pair(person, fragile_site, fragile_site.populate(), "room-001")
    pair.one.write("Kept")
    for number in range(3):
        pair.one.write(f"Lost {number}")
        pair.two.expect_message(f"Lost {number}")
    pair.one.expect_nothing_pending()
    fragile_site.run(talk.go_back, kept="Kept", lost="Lost")
    for each in (pair.one, pair.two):
        expect(each.page.locator("#messages > .message")).to_have_count(1, timeout=GONE_BACK)
        each.wait_until_live()
    reader = pair.two.page
    with reader.expect_request(lambda request: request.url.endswith("/read/"), timeout=RECONNECTED) as read:
        pair.one.write("New")
        pair.two.expect_message("New")
    # Its number is one that another message had on this page before.
    expect(reader.locator("#announce")).to_have_text("user0001: New")
    newest = reader.locator("#messages > .message").last.get_attribute("data-seq")
    assert f"seq={newest}&" in (read.value.post_data or "")
    live = pair.two.markup()
    pair.two.open_room("room-001")
    assert pair.two.markup() == live == pair.one.markup()
    assert pair.two.bodies() == ["Kept", "New"]

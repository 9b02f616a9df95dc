"""The live view: reading live without JavaScript, on a page that never finishes loading."""

import signal

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from e2e.conftest import Join, Person
from tests.servers import Site

# A browser that can't patch its page, so new parts are only appended.
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
SOON = 1000  # milliseconds in which a change must show


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=4, rooms=9, messages=27)


def read_live(person: Join, site: Site, key: str, slug: str, **options: str) -> Person:
    """A user without scripts who has opened the live view."""
    one = person(site, "user0001", javascript=False, expected="ERR_|status of 4", **options).use_session(key)
    one.page.goto(f"{site.url}/rooms/{slug}/live/", wait_until="commit")
    expect(one.page.locator("#messages .message")).to_have_count(3)
    return one


def composer(page: Page) -> FrameLocator:
    return page.frame_locator("#composer-frame")


def test_messages_edits_and_deletions_show_in_place_within_a_second(site: Site, keys: list[str], person: Join) -> None:
    ada = read_live(person, site, keys[0], "room-001")
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-001")
    items = ada.page.locator("#messages .message")
    bob.write("Frist <b>")
    bob.expect_nothing_pending()
    expect(items.last).to_contain_text("Frist <b>", timeout=SOON)
    expect(ada.page.locator("p[role=status]")).to_have_text("user0002: Frist <b>")
    expect(items.last).to_be_in_viewport()
    bob.write("Second")
    bob.expect_nothing_pending()
    bob.edit("Frist", "First")
    expect(items.nth(3)).to_contain_text("First", timeout=SOON)
    bob.delete("Second")
    expect(items.nth(4)).to_contain_text("This message was deleted.", timeout=SOON)
    expect(items).to_have_count(5)
    # Edited once more in the same place; the ids are those of any page.
    bob.edit("First", "First of all")
    expect(items.nth(3)).to_contain_text("First of all", timeout=SOON)
    live = ada.markup_ids()
    ada.go("/rooms/room-001/")
    assert ada.markup_ids() == live


def test_writing_does_not_interrupt_the_live_view(site: Site, keys: list[str], person: Join) -> None:
    ada = read_live(person, site, keys[0], "room-002")
    items = ada.page.locator("#messages .message")
    for number, text in enumerate(("Written in the frame", "And again")):
        composer(ada.page).get_by_label("Message to").fill(text)
        composer(ada.page).get_by_role("button", name="Send").click()
        expect(items.nth(3 + number)).to_contain_text(text)
        expect(composer(ada.page).get_by_role("status")).to_have_text("Sent")
        expect(composer(ada.page).get_by_label("Message to")).to_have_value("")
    assert ada.page.url.endswith("/rooms/room-002/live/")


def test_a_refusal_in_the_frame_says_why_and_keeps_the_text(site: Site, keys: list[str], person: Join) -> None:
    ada = read_live(person, site, keys[0], "room-003")
    composer(ada.page).get_by_label("Message to").fill("   ")
    composer(ada.page).get_by_role("button", name="Send").click()
    expect(composer(ada.page).get_by_text("Write something first.")).to_be_visible()
    expect(ada.page.locator("#messages .message")).to_have_count(3)


def test_a_browser_that_cannot_patch_gets_changes_at_the_end(site: Site, keys: list[str], person: Join) -> None:
    ada = read_live(person, site, keys[0], "room-004", user_agent=FIREFOX)
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-004")
    items = ada.page.locator("#messages .message")
    bob.write("Frist")
    bob.expect_nothing_pending()
    expect(items.nth(3)).to_contain_text("Frist", timeout=SOON)
    bob.edit("Frist", "First")
    expect(items.nth(4)).to_contain_text("Edited", timeout=SOON)
    expect(items.nth(4)).to_contain_text("First")
    bob.delete("First")
    expect(items.nth(5)).to_contain_text("Deleted", timeout=SOON)
    # Below the list, though the list has not been closed.
    below = ada.page.locator("#composer-frame").bounding_box()
    last = items.last.bounding_box()
    assert below and last
    assert below["y"] >= last["y"]
    expect(items.last).to_be_in_viewport()


@pytest.mark.parametrize("options", [{}, {"user_agent": FIREFOX}])
def test_a_removed_member_is_told_why_and_the_page_ends(
    site: Site, keys: list[str], person: Join, options: dict[str, str]
) -> None:
    slug = f"room-00{5 + len(options)}"
    cleo = person(site, "user0003", javascript=False, **options).use_session(keys[2])
    cleo.page.goto(f"{site.url}/rooms/{slug}/live/", wait_until="commit")
    expect(cleo.page.locator("#messages .message")).to_have_count(3)
    ada = person(site, "user0001").use_session(keys[0])
    ada.go(f"/rooms/{slug}/members/")
    ada.page.get_by_text("Change user0003").click()
    ada.page.get_by_role("button", name="Remove user0003").click()
    expect(cleo.page.locator("#stream-end")).to_contain_text("You are no longer a member of this room.")
    cleo.page.wait_for_load_state()


def test_a_third_live_view_opens_only_after_one_of_two_is_closed(site: Site, keys: list[str], person: Join) -> None:
    one, two = (read_live(person, site, keys[3], "room-007") for _ in range(2))
    third = person(site, "user0004", javascript=False, expected="status of 429").use_session(keys[3])
    third.go("/rooms/room-007/live/")
    expect(third.page.get_by_role("heading", level=1)).to_have_text("You read live in too many places")
    one.page.goto("about:blank")
    for _ in range(20):
        third.page.goto(f"{site.url}/rooms/room-007/live/", wait_until="commit")
        if third.page.locator("#messages, h1").first.get_attribute("id"):
            break
    expect(third.page.locator("#messages .message")).to_have_count(3)
    expect(two.page.locator("#messages .message")).to_have_count(3)


def test_messages_that_the_live_view_showed_count_as_read(site: Site, keys: list[str], person: Join) -> None:
    ada = read_live(person, site, keys[0], "room-008")
    bob = person(site, "user0002").use_session(keys[1])
    bob.open_room("room-008")
    bob.write("News")
    expect(ada.page.locator("#messages .message")).to_have_count(4)
    ada.page.goto("about:blank")
    ada.go("/")
    for _ in range(20):
        if not ada.page.locator("#room-room-008 .unread").count():
            return
        ada.page.reload()
    raise AssertionError("It still counts as unread")


def test_a_server_that_stops_says_so_and_offers_to_continue(person: Join) -> None:
    with Site() as site:
        keys = site.populate(users=1, rooms=1, messages=3)
        ada = read_live(person, site, keys[0], "room-001")
        site.stop(signal.SIGTERM)
        expect(ada.page.locator("#stream-end")).to_contain_text("The connection has ended.")
        ada.page.wait_for_load_state()
        site.start()
        ada.page.get_by_role("link", name="Go on reading live").click(no_wait_after=True)
        expect(ada.page.locator("#messages .message")).to_have_count(3)
        expect(ada.page.locator(".stream-status")).to_contain_text("Live")

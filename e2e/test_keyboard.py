"""Journeys by keyboard alone: the Tab key reaches everything needed, and the focus is visible."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Join, Person
from e2e.test_moving import IS_SEEN, press_until
from tests.scenes import rooms
from tests.servers import Site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=3, rooms=4, messages=120)


@pytest.fixture
def ada(person: Join, site: Site, keys: list[str]) -> Iterator[Person]:
    yield person(site, "user0001", reduced_motion="reduce").use_session(keys[0])


@pytest.fixture
def cleo(person: Join, site: Site, keys: list[str]) -> Iterator[Person]:
    """A user without scripts."""
    yield person(site, "user0003", javascript=False, expected="ERR_|status of 4").use_session(keys[2])


def reach(page: Page, name: str, by: str = "text") -> None:
    """Move the focus there by the Tab key; fails if it is not visible."""
    press_until(page, name, by)
    assert page.evaluate(IS_SEEN) == "", name


def press(page: Page, name: str) -> None:
    """Move to a link or a button and press Enter."""
    reach(page, name)
    page.keyboard.press("Enter")


def follow(page: Page, name: str) -> None:
    """Move to a link or button that leads to another page, and press Enter."""
    reach(page, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def write(page: Page, field: str, text: str) -> None:
    """Move to a field by its name, and type."""
    reach(page, field, "name")
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def test_running_a_room(ada: Person, person: Join, keys: list[str]) -> None:
    page = ada.go("/rooms/")
    follow(page, "New room")
    expect(page).to_have_url(re.compile("/rooms/new/$"))
    write(page, "name", "Orchard")
    reach(page, "access", "name")
    page.keyboard.press("ArrowDown")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/rooms/orchard/$"))
    follow(page, "Members (1)")
    expect(page).to_have_url(re.compile("/rooms/orchard/members/$"))
    write(page, "username", "user0002")
    follow(page, "Invite to the room")
    expect(page.get_by_role("button", name="Withdraw the invitation for user0002")).to_be_visible()
    invited = person(ada.site, "user0002").use_session(keys[1]).go("/")
    follow(invited, "Accept the invitation to Orchard")
    expect(invited).to_have_url(re.compile("/rooms/orchard/$"))
    page.reload()
    expect(page.locator(".member-list li")).to_have_count(2)
    press(page, "Change user0002")
    reach(page, "role", "name")
    page.keyboard.press("ArrowUp")
    follow(page, "Save the role of user0002")
    expect(page.locator(".member-list li", has_text="user0002")).to_contain_text("Moderator")
    follow(page, "Invite people by a link")
    expect(page).to_have_url(re.compile("/invitations/$"))
    follow(page, "Make the link")
    expect(page.get_by_text("The link is made")).to_be_visible()
    ada.go("/rooms/orchard/members/")
    press(page, "Change user0002")
    follow(page, "Remove user0002")
    expect(page.locator(".member-list li")).to_have_count(1)
    ada.go("/rooms/orchard/settings/")
    write(page, "name", "Garden")
    follow(page, "Save")
    expect(page.get_by_text("The room’s settings are saved.")).to_be_visible()
    follow(page, "Settings")
    follow(page, "Archive the room")
    expect(page.get_by_text("The room is archived.")).to_be_visible()
    follow(page, "Settings")
    follow(page, "Open the room again")
    expect(page.get_by_text("The room is open again.")).to_be_visible()
    follow(page, "Settings")
    # The name of the field after this exists twice on the page.
    reach(page, "Archive the room")
    page.keyboard.press("Tab")
    assert page.evaluate(IS_SEEN) == ""
    page.keyboard.type("Garden")
    follow(page, "Delete the room")
    expect(page.get_by_text("The room Garden is deleted.")).to_be_visible()


def test_joining_reading_back_and_leaving(person: Join, site: Site, keys: list[str]) -> None:
    site.run(rooms.set_access, "room-002", "open")
    new = person(site, "newcomer").sign_up()
    page = new.go("/rooms/")
    follow(page, "Room 002")
    expect(page).to_have_url(re.compile("/rooms/room-002/$"))
    follow(page, "Join this room")
    new.wait_until_live()
    write(page, "body", "Here I am")
    page.keyboard.press("Enter")
    new.expect_message("Here I am")
    page.keyboard.press("End")
    page.keyboard.press("k")
    assert page.evaluate(IS_SEEN) == ""
    follow(page, re.sub(r"\s+", " ", page.locator("#rooms a").first.inner_text()))
    expect(page).to_have_url(re.compile("/rooms/lobby/$"))
    new.go("/rooms/room-002/members/")
    follow(page, "Leave this room")
    expect(page).not_to_have_url(re.compile("/members/$"))


def test_choosing_announcements_and_reading_them_again(ada: Person) -> None:
    page = ada.open_room("room-003")
    press(page, "Announcements")
    panel = page.locator("#announced")
    expect(panel).to_be_visible()
    assert page.evaluate(IS_SEEN) == ""
    follow(page, "What is announced, and the last 50")
    expect(page).to_have_url(re.compile("/announcements/$"))
    reach(page, "announces", "name")
    page.keyboard.press("ArrowDown")
    follow(page, "Save")
    expect(page.get_by_text("The choice is saved.")).to_be_visible()
    ada.open_room("room-003")
    expect(page.locator(".live")).to_have_attribute("data-announces", "mentions")
    page.keyboard.press("F8")
    expect(page.locator("#announce")).to_have_text("Nothing has been announced yet.")


def test_writing_editing_and_reading_live_without_scripts(cleo: Person) -> None:
    page = cleo.go("/rooms/room-004/")
    write(page, "body", "By keys")
    follow(page, "Send")
    expect(page.locator("#messages .message").last).to_contain_text("By keys")
    page.locator("#messages .message").last.locator("article").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Message by user0003")
    write(page, "body", "By keys alone")
    follow(page, "Save")
    expect(page.get_by_text("By keys alone").first).to_be_visible()
    page.goto(f"{cleo.site.url}/rooms/room-004/live/", wait_until="commit")
    expect(page.locator("#messages .message").last).to_contain_text("By keys alone")
    frame = page.frame_locator("#composer-frame")
    expect(frame.get_by_label("Message to")).to_be_visible()
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "composer-frame":
            break
    expect(frame.get_by_label("Message to")).to_be_focused()
    page.keyboard.type("Into the frame")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#messages .message").last).to_contain_text("Into the frame")

"""The list of rooms, live on every page of a person."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from e2e.conftest import Join, Person
from tests.servers import Site
from tests.sockets import IS_LIVE


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=2, rooms=6, messages=0)


@pytest.fixture
def pair(person: Join, site: Site, keys: list[str]) -> Iterator[tuple[Person, Person]]:
    """Ada, who has a page open, and Bob, who writes elsewhere."""
    yield person(site, "user0001").use_session(keys[0]), person(site, "user0002").use_session(keys[1])


def test_counts_follow_what_is_posted_and_what_another_tab_reads(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    page = ada.open_room("room-001")
    bob.open_room("room-002")
    unread = page.locator("#room-room-002 .unread")
    bob.write("One")
    expect(unread).to_have_text("1 unread")
    page.locator("#room-room-002 a").focus()
    page.evaluate("window.said = []; document.addEventListener('say', ({ detail }) => said.push(detail))")
    bob.write("Two")
    expect(unread).to_have_text("2 unread")
    expect(page.locator("#room-room-002 a")).to_be_focused()
    assert page.evaluate("said") == []
    tab = ada.context.new_page()
    tab.goto(f"{ada.site.url}/rooms/room-002/")
    expect(unread).to_have_count(0)
    expect(page.locator("#room-room-001 a")).to_have_attribute("aria-current", "page")


def test_the_list_follows_rooms_that_one_opens_renames_and_leaves(pair: tuple[Person, Person]) -> None:
    ada, _ = pair
    page = ada.open_room("room-003")
    tab = ada.context.new_page()
    tab.goto(f"{ada.site.url}/rooms/new/")
    tab.get_by_label("Name", exact=True).fill("Workshop")
    tab.get_by_role("button", name="Create the room").click()
    expect(page.locator("#room-workshop")).to_have_text("Workshop")
    expect(page.locator("#room-room-003 a")).to_have_attribute("aria-current", "page")
    tab.goto(f"{ada.site.url}/rooms/workshop/settings/")
    tab.get_by_label("Name", exact=True).first.fill("Atelier")
    tab.get_by_role("button", name="Save").click()
    expect(page.locator("#room-atelier")).to_have_text("Atelier")
    expect(page.locator("#room-workshop")).to_have_count(0)
    assert page.locator("#rooms > li").all_inner_texts() == sorted(page.locator("#rooms > li").all_inner_texts())


def test_the_first_room_replaces_the_note_that_there_is_none(person: Join, site: Site, keys: list[str]) -> None:
    cleo = person(site, "cleo").sign_up()
    cleo.go("/rooms/lobby/members/").get_by_role("button", name="Leave this room").click()
    page = cleo.go("/rooms/room-001/")
    note = page.get_by_text("You are in no room yet.")
    expect(note).to_be_visible()
    tab = cleo.context.new_page()
    tab.goto(f"{site.url}/rooms/room-001/")
    tab.get_by_role("button", name="Join this room").click()
    expect(page.locator("#rooms > li")).to_have_text(["Room 001"])
    expect(note).to_be_hidden()


def test_counts_are_right_again_after_a_lost_connection(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    page = ada.open_room("room-004")
    bob.open_room("room-005")
    ada.context.set_offline(True)
    page.evaluate("htmx.find('.live').dispatchEvent(new Event('offline'))")
    bob.write("While nobody heard")
    bob.expect_nothing_pending()
    ada.context.set_offline(False)
    page.wait_for_function(f"() => {IS_LIVE}")
    expect(page.locator("#room-room-005 .unread")).to_have_text("1 unread")

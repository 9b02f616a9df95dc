"""Unsent text is kept, for its author only, as long as the tab is open."""

import pytest
from playwright.sync_api import expect

from e2e.conftest import Join
from tests.servers import Site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=2, rooms=6, messages=0)


def test_a_draft_survives_a_reload_and_a_visit_to_another_room(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-001")
    box = page.locator("#composer-body")
    box.fill("Half a text\nof two lines ")
    page.reload()
    expect(box).to_have_value("Half a text\nof two lines ")
    ada.open_room("room-002")
    expect(box).to_have_value("")
    ada.open_room("room-001")
    expect(box).to_have_value("Half a text\nof two lines ")
    box.press("Enter")
    ada.expect_nothing_pending()
    page.reload()
    ada.wait_until_live()
    expect(box).to_have_value("")
    assert len(ada.bodies()) == 1


def test_back_does_not_show_what_another_user_typed(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-003")
    page.locator("#composer-body").fill("A secret of Ada's")
    ada.open_room("room-004")
    bob = ada.use_session(keys[1])
    page.go_back()
    bob.wait_until_live()
    expect(page.locator("[name=viewer]")).to_have_value("2")
    expect(page.locator("#composer-body")).to_have_value("")
    page.locator("#composer-body").fill("Bob's own")
    bob.open_room("room-004")
    ada.use_session(keys[0])
    page.go_back()
    ada.wait_until_live()
    expect(page.locator("#composer-body")).to_have_value("A secret of Ada's")


def test_back_does_not_show_a_text_that_has_since_been_sent(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-002")
    box = page.locator("#composer-body")
    box.fill("Begun here")
    ada.open_room("room-004")
    ada.open_room("room-002")
    expect(box).to_have_value("Begun here")
    box.press("Enter")
    ada.expect_message("Begun here")
    page.go_back()
    page.go_back()
    ada.wait_until_live()
    expect(box).to_have_value("")


def test_back_restores_a_text_that_was_sent_to_a_failing_proxy(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001", expected="502").use_session(keys[0])
    site.populate(users=2, rooms=1, messages=120)
    # A page of older messages has no socket, so the form itself is submitted.
    page = ada.go("/rooms/room-001/?after=1")
    box = page.locator("#composer-body")
    page.route("**/messages/", lambda route: route.fulfill(status=502, body="Bad gateway"))
    for text in ("Into a proxy", "Into a proxy again"):
        box.fill(text)
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text("Bad gateway")).to_be_visible()
        page.go_back()
        expect(box).to_have_value(text)
    page.unroute_all()
    page.get_by_role("button", name="Send", exact=True).click()
    ada.expect_message("Into a proxy again")
    expect(box).to_have_value("")


def test_an_unsaved_edit_is_restored_when_its_dialog_opens_again(site: Site, keys: list[str], person: Join) -> None:
    ada = person(site, "user0001").use_session(keys[0])
    page = ada.open_room("room-005")
    for text in ("First", "Second"):
        ada.write(text)
        ada.expect_message(text)
    dialog = page.get_by_role("dialog")

    def open_dialog(text: str) -> None:
        page.locator("#messages .message", has_text=text).locator(".meta a").click()
        expect(dialog.get_by_label("Message")).to_be_visible()

    open_dialog("First")
    dialog.get_by_label("Message").fill("First, changed")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    open_dialog("Second")
    expect(dialog.get_by_label("Message")).to_have_value("Second")
    expect(dialog.get_by_text("What you typed is still here.")).to_have_count(0)
    page.keyboard.press("Escape")
    open_dialog("First")
    expect(dialog.get_by_label("Message")).to_have_value("First, changed")
    expect(dialog.get_by_text("What you typed is still here.")).to_be_visible()
    dialog.get_by_role("button", name="Save").click()
    ada.expect_message("First, changed")
    open_dialog("First, changed")
    expect(dialog.get_by_text("What you typed is still here.")).to_have_count(0)


def test_an_unsaved_edit_does_not_overwrite_a_newer_one(site: Site, keys: list[str], person: Join) -> None:
    desk = person(site, "user0001", expected="409").use_session(keys[0])
    page = desk.open_room("room-006")
    desk.write("First")
    desk.expect_message("First")
    page.locator("#messages .meta a").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Message").fill("From the desk")
    page.keyboard.press("Escape")
    phone = person(site, "user0001").use_session(keys[0])
    phone.open_room("room-006")
    phone.edit("First", "From the phone")
    desk.expect_message("From the phone")
    page.locator("#messages .meta a").click()
    expect(dialog.get_by_label("Message")).to_have_value("From the desk")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("This message was changed meanwhile")
    expect(dialog.get_by_label("The text as it is now")).to_have_value("From the phone")

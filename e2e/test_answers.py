"""Answers from something other than the site, or none: the page keeps what it shows and what was typed, and says so."""

import re
import urllib.parse
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from e2e.conftest import REFUSED, SERVER_AWAY, Join, Person
from tests.servers import Site

Answer = dict[str, Any]

# What real proxies and networks answer: the server is down, sign in to the network first, blocked, empty.
BAD_GATEWAY: Answer = {
    "status": 502,
    "content_type": "text/html",
    "body": "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502"
    " Bad Gateway</h1></center>\r\n<hr><center>nginx/1.24.0</center>\r\n</body>\r\n</html>\r\n",
}
PORTAL = {
    "status": 200,
    "content_type": "text/html",
    "body": "<h1>Welcome to the station's network</h1><form>...</form>",
}
SILENT_PORTAL = {"status": 204, "headers": {"HX-Trigger": "message-done"}, "body": ""}
BLOCKED = {"status": 403, "content_type": "text/html", "body": "<h1>Category: chat</h1>"}
LEADING_AWAY = {"status": 200, "headers": {"HX-Redirect": "https://evil.example/", "HX-Refresh": "true"}, "body": "x"}
FOREIGN = [BAD_GATEWAY, PORTAL, SILENT_PORTAL, BLOCKED, LEADING_AWAY]
NAMES = ["bad gateway", "portal", "silent portal", "blocked", "leading away"]

EXPECTED = f"{SERVER_AWAY}|{REFUSED}|status of 4(0[34]|13)|status of 50[23]|status of 429|htmx:error|Failed to fetch"


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=3, rooms=8, messages=0)


@pytest.fixture
def ada(site: Site, keys: list[str], person: Join) -> Person:
    return person(site, "user0001", expected=EXPECTED).use_session(keys[0])


def answer_with(page: Page, pattern: str, answer: Answer) -> None:
    page.route(re.compile(pattern), lambda route: route.fulfill(**answer))


def open_dialog(one: Person, text: str) -> Locator:
    """Post a message and open its dialog."""
    one.write(text)
    one.expect_message(text)
    one.page.locator("#messages .message", has_text=text).locator(".meta a").click()
    dialog = one.page.get_by_role("dialog")
    expect(dialog.get_by_label("Message")).to_be_visible()
    return dialog


def half_edit(one: Person, text: str) -> Locator:
    dialog = open_dialog(one, text)
    dialog.get_by_label("Message").fill("Half an edit")
    return dialog


def save(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Save").click()


def expect_kept(dialog: Locator, words: str) -> None:
    """Expect the edit to be still there, and one alert to say why."""
    expect(dialog.get_by_role("alert")).to_have_count(1)
    expect(dialog.get_by_role("alert")).to_contain_text(words)
    expect(dialog.get_by_role("alert")).to_contain_text("What you typed is still here.")
    expect(dialog.get_by_role("alert")).to_be_in_viewport()
    expect(dialog.get_by_label("Message")).to_have_value("Half an edit")


@pytest.mark.parametrize("answer", FOREIGN, ids=NAMES)
def test_an_edit_that_the_site_does_not_answer_is_kept_with_a_reason(ada: Person, answer: Answer) -> None:
    page = ada.open_room("room-001")
    text = f"First {answer['status']} {len(str(answer))}"
    dialog = half_edit(ada, text)
    answer_with(page, "/edit/$", answer)
    save(dialog)
    expect_kept(dialog, f"in place of this site ({answer['status']})")
    # A second attempt is answered likewise, and announced once more.
    save(dialog)
    expect_kept(dialog, "in place of this site")
    page.unroute(re.compile("/edit/$"))
    save(dialog)
    expect(dialog).to_be_hidden()
    ada.expect_message("Half an edit")
    ada.delete("Half an edit")


@pytest.mark.parametrize("answer", FOREIGN, ids=NAMES)
def test_a_dialog_that_fails_to_load_gives_the_reason_and_a_retry_button(ada: Person, answer: Answer) -> None:
    page = ada.open_room("room-002")
    text = f"Look at {answer['status']} {len(str(answer))}"
    ada.write(text)
    ada.expect_message(text)
    page.locator("#composer-body").fill("Half a message")
    answer_with(page, r"/messages/\d+/$", answer)
    page.locator("#messages .message", has_text=text).locator(".meta a").click()
    words = page.locator("#refusal").get_by_role("alert")
    expect(words).to_contain_text("in place of this site")
    expect(page.locator("dialog")).to_be_hidden()
    again = page.locator("#refusal").get_by_role("button", name="Try again")
    link = page.locator("#messages .message", has_text=text).locator(".meta a")
    # The keyboard focus returns to the message, whether it fails again, is closed, or works.
    with page.expect_response(re.compile(r"/messages/\d+/$")):
        again.press("Enter")
    expect(words).to_contain_text("in place of this site")
    expect(link).to_be_focused()
    page.locator("#refusal").get_by_role("button", name="Close").press("Enter")
    expect(link).to_be_focused()
    link.press("Enter")
    page.unroute(re.compile(r"/messages/\d+/$"))
    again.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Message")).to_have_value(text)
    expect(page.locator("#refusal")).to_be_empty()
    expect(page.locator("#composer-body")).to_have_value("Half a message")
    page.keyboard.press("Escape")
    expect(link).to_be_focused()


@pytest.mark.parametrize("verb", ["edit", "delete"])
def test_saving_and_deleting_while_offline_fails_with_a_reason_and_works_later(ada: Person, verb: str) -> None:
    page = ada.open_room("room-003")
    dialog = half_edit(ada, f"Before the {verb}")
    if verb == "delete":
        dialog.get_by_text("Delete this message").click()
    button = dialog.get_by_role("button", name="Save" if verb == "edit" else "Delete", exact=True)
    page.context.set_offline(True)
    button.click()
    expect(dialog.get_by_role("alert")).to_contain_text("No answer came from the server. Try again in a moment.")
    expect(dialog.get_by_label("Message")).to_have_value("Half an edit")
    expect(button).to_be_focused()
    page.context.set_offline(False)
    button.click()
    expect(dialog).to_be_hidden()
    changed = "Half an edit" if verb == "edit" else "This message was deleted."
    expect(page.locator("#messages .body, #messages .message").get_by_text(changed).first).to_be_visible()


def test_an_edit_whose_connection_breaks_is_kept(ada: Person) -> None:
    page = ada.open_room("room-003")
    dialog = half_edit(ada, "To be cut")
    page.route(re.compile("/edit/$"), lambda route: route.abort("connectionreset"))
    save(dialog)
    expect_kept(dialog, "No answer came")


def test_an_edit_that_is_too_large_is_refused_with_that_reason(ada: Person) -> None:
    page = ada.open_room("room-003")
    dialog = half_edit(ada, "To be too long")
    answer_with(page, "/edit/$", {"status": 413, "body": "Too large"})
    save(dialog)
    expect_kept(dialog, "That was more than this site takes at once. Shorten it")


def sign_out_elsewhere(one: Person) -> Page:
    """Sign out in another tab."""
    tab = one.context.new_page()
    tab.goto(one.site.url + "/accounts/logout/")
    tab.get_by_role("main").get_by_role("button", name=re.compile("Sign out", re.IGNORECASE)).click()
    expect(tab.get_by_role("link", name="Sign in").first).to_be_visible()
    return tab


def sign_in(tab: Page, site: Site, name: str) -> None:
    tab.goto(f"{site.url}/accounts/login/")
    tab.get_by_label("User name or e-mail address").fill(name)
    tab.get_by_label("Password").fill("parley-demo")
    tab.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    expect(tab.get_by_role("link", name="Sign out")).to_be_visible()


def test_a_signed_out_user_signs_in_in_another_tab_and_saves(site: Site, person: Join, keys: list[str]) -> None:
    eve = person(site, "user0001", expected=EXPECTED)
    sign_in(eve.page, site, "user0001")
    page = eve.open_room("room-004")
    dialog = half_edit(eve, "Before the sign-out")
    tab = sign_out_elsewhere(eve)
    save(dialog)
    expect_kept(dialog, "You are signed out. Sign in in another tab, then try again here.")
    link = dialog.get_by_role("link", name="Sign in (opens a new tab)")
    expect(link).to_have_attribute("target", "_blank")
    # After signing in the browser has another token than this form.
    sign_in(tab, site, "user0001")
    save(dialog)
    expect(dialog).to_be_hidden()
    page.reload()
    eve.expect_message("Half an edit")


def test_the_rooms_of_another_user_never_show_on_this_users_page(site: Site, person: Join, keys: list[str]) -> None:
    eve = person(site, "user0001", expected=EXPECTED)
    sign_in(eve.page, site, "user0001")
    page = eve.open_room("room-004")
    tab = sign_out_elsewhere(eve)
    sign_in(tab, site, "user0002")
    page.evaluate("htmx.trigger(document.getElementById('rooms'), 'refresh')")
    expect(page.locator("#rooms-note")).to_contain_text("Somebody else is signed in now, in another tab.")


@pytest.mark.parametrize("answer", [*FOREIGN, None], ids=[*NAMES, "nothing"])
def test_the_room_list_stays_and_says_that_it_could_not_be_refreshed(ada: Person, answer: Answer | None) -> None:
    page = ada.open_room("room-005")
    before = page.locator("#rooms").inner_html().strip()
    pattern = re.compile(r"/\?room=")
    page.route(pattern, lambda route: route.fulfill(**answer) if answer else route.abort())
    page.evaluate("window.said = []; document.addEventListener('say', ({ detail }) => said.push(detail))")
    for _ in range(2):
        with page.expect_event("requestfinished" if answer else "requestfailed"):
            page.evaluate("htmx.trigger(document.getElementById('rooms'), 'refresh')")
        expect(page.locator("#rooms-note")).not_to_be_empty()
        expect(page.locator("#rooms.htmx-request")).to_have_count(0)
    expect(page.locator("#rooms-note")).to_contain_text("in place of this site" if answer else "No answer came")
    assert page.locator("#rooms").inner_html().strip() == before
    assert len(page.evaluate("window.said")) == 1
    page.unroute(pattern)
    page.evaluate("htmx.trigger(document.getElementById('rooms'), 'refresh')")
    expect(page.locator("#rooms-note")).to_be_empty()


def as_owner(site: Site, keys: list[str], path: str, **form: str) -> None:
    """Have the owner of the rooms send a form."""
    fields = urllib.parse.urlencode(form | {"csrfmiddlewaretoken": "a" * 32}).encode()
    cookies = {"Cookie": f"sessionid={keys[0]}; csrftoken={'a' * 32}"}
    with urllib.request.urlopen(urllib.request.Request(f"{site.url}{path}", fields, cookies)) as answer:
        assert answer.status == 200


def test_a_refusal_by_the_site_is_shown_in_its_own_words(site: Site, keys: list[str], person: Join) -> None:
    bob = person(site, "user0002", expected=EXPECTED).use_session(keys[1])
    bob.open_room("room-006")
    dialog = half_edit(bob, "Mine until now")
    as_owner(site, keys, "/rooms/room-006/members/user0002/remove/")
    save(dialog)
    expect_kept(dialog, "You may not do that.")


def test_an_edit_refused_after_its_dialog_was_closed_is_returned(ada: Person) -> None:
    page = ada.open_room("room-001")
    dialog = half_edit(ada, "Closed too early")
    held: list[Route] = []
    page.route(re.compile("/edit/$"), lambda route: held.append(route))
    with page.expect_request(re.compile("/edit/$")):
        save(dialog)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    held[0].fulfill(**BAD_GATEWAY)
    bar = page.locator("#refusal")
    expect(bar.get_by_role("alert")).to_contain_text("in place of this site (502)")
    expect(bar.get_by_label("What you typed")).to_have_value("Half an edit")
    # It exists nowhere else, so the next request or refusal does not replace it.
    answer_with(page, r"/messages/\d+/$", BAD_GATEWAY)
    page.locator("#messages .message", has_text="Closed too early").locator(".meta a").click()
    expect(bar.get_by_role("alert")).to_have_count(2)
    page.unroute(re.compile(r"/messages/\d+/$"))
    bar.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog").get_by_label("Message")).to_be_visible()
    page.keyboard.press("Escape")
    expect(bar.get_by_role("alert")).to_have_count(1)
    expect(bar.get_by_label("What you typed")).to_have_value("Half an edit")
    bar.get_by_role("button", name="Close").click()
    expect(bar).to_be_empty()
    expect(page.locator("#composer-body")).to_be_focused()


def test_a_late_answer_to_an_edit_leaves_another_dialog_alone(ada: Person) -> None:
    page = ada.open_room("room-001")
    dialog = half_edit(ada, "Slow to save")
    held: list[Route] = []
    page.route(re.compile("/edit/$"), lambda route: held.append(route))
    with page.expect_request(re.compile("/edit/$")):
        save(dialog)
    page.keyboard.press("Escape")
    other = half_edit(ada, "Another one")
    other.get_by_label("Message").fill("Typed meanwhile")
    with page.expect_response(re.compile("/edit/$")):
        held[0].continue_()
    ada.expect_message("Half an edit")
    expect(other.get_by_label("Message")).to_have_value("Typed meanwhile")


def test_of_two_requested_dialogs_the_later_one_is_shown(ada: Person) -> None:
    page = ada.open_room("room-007")
    for text in ("Asked for first", "Asked for last"):
        ada.write(text)
        ada.expect_message(text)
    held: list[Route] = []
    page.route(re.compile(r"/messages/\d+/$"), lambda route: held.append(route))
    for number, text in enumerate(("Asked for first", "Asked for last"), start=1):
        with page.expect_request(re.compile(r"/messages/\d+/$")):
            page.locator("#messages .message", has_text=text).locator(".meta a").click()
        # The browser reports the request before the route has received it.
        while len(held) < number:
            page.evaluate("() => new Promise(requestAnimationFrame)")
    held[1].continue_()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Message")).to_have_value("Asked for last")
    dialog.get_by_label("Message").fill("Half an edit")
    with page.expect_response(re.compile(r"/messages/\d+/$")):
        held[0].continue_()
    expect(dialog.get_by_label("Message")).to_have_value("Half an edit")


REMOVAL: tuple[str, dict[str, str]] = ("/rooms/room-007/members/user0002/remove/", {})
DELETION = ("/rooms/room-008/settings/delete/", {"name": "Room 008"})


@pytest.mark.parametrize(("path", "form"), [REMOVAL, DELETION], ids=["removed", "deleted"])
def test_an_unsent_text_stays_visible_when_the_composer_is_removed(
    site: Site, keys: list[str], person: Join, path: str, form: dict[str, str]
) -> None:
    bob = person(site, "user0002", expected=EXPECTED).use_session(keys[1])
    page = bob.open_room(path.split("/")[2])
    page.evaluate("window.said = []; document.addEventListener('say', ({ detail }) => said.push(detail))")
    box = page.locator("#composer-body")
    box.fill("Half a text")
    box.focus()
    as_owner(site, keys, path, **form)
    expect(page.locator("#farewell")).to_be_visible()
    expect(box).to_have_value("Half a text")
    expect(box).to_be_in_viewport()
    expect(box).to_have_attribute("readonly", "")
    expect(page.get_by_label("This was not sent. Copy it before you leave this page.")).to_be_visible()
    assert page.evaluate("window.said").count("This was not sent. Copy it before you leave this page.") == 1
    # A user who is still typing will press Enter at the end.
    expect(box).to_be_focused()
    box.press("Enter")
    expect(page.locator("#farewell")).to_be_visible()
    expect(box).to_have_value("Half a text")


def test_an_empty_composer_is_hidden_from_a_removed_member(site: Site, keys: list[str], person: Join) -> None:
    cyd = person(site, "user0003", expected=EXPECTED).use_session(keys[2])
    page = cyd.open_room("room-007")
    as_owner(site, keys, "/rooms/room-007/members/user0003/remove/")
    expect(page.locator("#farewell")).to_be_visible()
    expect(page.locator("#composer-body")).to_be_hidden()
    # A text returned unsent from the outbox makes it visible.
    page.locator("#composer-body").evaluate("box => box.value = 'Given back'")
    expect(page.locator("#composer-body")).to_be_visible()

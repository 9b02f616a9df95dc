"""Moving by keyboard alone: what the keys reach, and a focus that is never lost, hidden or covered."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Join, Person
from tests.scenes import people, rooms, talk
from tests.servers import Site

# The focused element's id, or its class if it has none.
FOCUS = "() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName"

# Whether the focus is visible: on an element, within the window, its centre not covered, and with an outline of at
# least two pixels.
IS_SEEN = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return "on no element";
  const box = one.getBoundingClientRect();
  const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  if (right - left < 1 || bottom - top < 1) return "outside the window";
  const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  const isOurs = !hit || one.contains(hit) || hit.contains(one) || hit.closest("label")?.contains(one);
  if (!isOurs) return `covered by ${hit.outerHTML.slice(0, 80)}`;
  const style = getComputedStyle(one);
  if (!one.matches(":focus-visible")) return "not :focus-visible";
  const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  if (!isOutlined) return `without an outline: ${one.outerHTML.slice(0, 90)}`;
  return "";
}
"""


@pytest.fixture(scope="module")
def site(redis_url: str) -> Iterator[Site]:
    """Over Redis, so that open pages are told of what a scene changes in another process."""
    with Site(environment={"REDIS_URL": redis_url}) as site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    keys = site.populate(users=3, rooms=6, messages=360)
    site.run(people.make_site_owner, "user0001")
    return keys


@pytest.fixture
def ada(person: Join, site: Site, keys: list[str]) -> Iterator[Person]:
    yield person(site, "user0001", reduced_motion="reduce").use_session(keys[0])


def focus(page: Page) -> str:
    found: str = page.evaluate(FOCUS)
    return found


def newest(page: Page) -> str:
    return page.locator("#messages article").last.get_attribute("id") or ""


def test_newest_message_and_composer_are_one_key_away_and_first_unread_two(
    ada: Person, person: Join, keys: list[str]
) -> None:
    bob = person(ada.site, "user0002").use_session(keys[1])
    bob.open_room("room-001")
    bob.write("News")
    bob.expect_nothing_pending()
    page = ada.open_room("room-001")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the first unread message")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#first-unread")).to_be_focused()
    page.keyboard.press("End")
    assert focus(page) == newest(page)
    page.keyboard.press("Escape")
    expect(page.locator("#composer-body")).to_be_focused()
    page.keyboard.press("Shift+F6")
    assert focus(page) == newest(page)
    page.keyboard.press("u")
    expect(page.locator("#first-unread")).to_be_focused()


def test_j_and_k_move_between_messages_and_type_in_a_field(ada: Person) -> None:
    page = ada.open_room("room-002")
    ids = [one.get_attribute("id") for one in page.locator("#messages article").all()]
    page.keyboard.press("k")
    assert focus(page) == ids[-1]
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert focus(page) == ids[-3]
    page.keyboard.press("j")
    assert focus(page) == ids[-2]
    assert page.evaluate(IS_SEEN) == ""
    page.keyboard.press("Home")
    assert focus(page) in [one.get_attribute("id") for one in page.locator("#messages article").all()]
    page.keyboard.press("Escape")
    page.keyboard.type("jk?ur")
    expect(page.locator("#composer-body")).to_have_value("jk?ur")
    expect(page.locator("#composer-body")).to_be_focused()


def test_letter_keys_can_be_switched_off(ada: Person) -> None:
    page = ada.go("/accounts/preferences/")
    page.get_by_label("Letters move in a room").uncheck()
    page.get_by_role("button", name="Save").click()
    ada.open_room("room-002")
    page.keyboard.press("k")
    page.keyboard.press("?")
    assert focus(page) == "room-page"
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("End")
    assert focus(page) == newest(page)
    ada.go("/accounts/preferences/")
    page.get_by_label("Letters move in a room").check()
    page.get_by_role("button", name="Save").click()


def test_f6_goes_round_the_parts_of_the_page_and_the_list_of_keys(ada: Person) -> None:
    page = ada.open_room("room-002")
    seen = []
    for _ in range(5):
        page.keyboard.press("F6")
        seen.append(focus(page))
        assert page.evaluate(IS_SEEN) == ""
    room = page.locator("#rooms [aria-current]")
    assert seen[:3] == [newest(page), "composer-body", "members-panel"]
    assert seen[4] == newest(page)
    page.keyboard.press("Shift+F6")
    expect(room).to_be_focused()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(room).to_be_focused()


def test_fifty_changes_touch_neither_a_draft_nor_the_place_being_read(ada: Person) -> None:
    # With a topic from the start, so that the header does not grow by its line later.
    ada.site.run(rooms.set_topic, "room-003", "Topic")
    page = ada.open_room("room-003")
    box = page.locator("#composer-body")
    box.fill("A draft that I am in the middle of")
    page.get_by_role("link", name="Announcements").evaluate("link => link.focus()")
    box.focus()
    box.evaluate("box => box.setSelectionRange(2, 7, 'backward')")
    scroller = page.locator("#scroller")
    scroller.evaluate("one => one.scrollTo(0, -200)")
    reading = page.locator("#messages .message").nth(40)
    before = reading.bounding_box()
    ada.site.run(talk.make_fifty_changes, "room-003")
    expect(page.locator("#messages .message", has_text="New 19")).to_have_count(1)
    expect(page.locator(".topic")).to_have_text("Topic 4")
    expect(page.locator("#messages .deleted")).to_have_count(10)
    expect(box).to_be_focused()
    expect(box).to_have_value("A draft that I am in the middle of")
    assert box.evaluate("box => [box.selectionStart, box.selectionEnd, box.selectionDirection]") == [2, 7, "backward"]
    after = reading.bounding_box()
    assert before and after
    assert abs(before["y"] - after["y"]) < 2


def test_an_open_menu_stays_open_while_changes_arrive(ada: Person) -> None:
    page = ada.open_room("room-004")
    ada.write("Mine")
    ada.expect_nothing_pending()
    page.locator("#messages .meta a").last.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Delete this message").click()
    dialog.get_by_label("Message").fill("Half an edit")
    ada.site.run(talk.make_fifty_changes, "room-004")
    expect(page.locator("#messages .message", has_text="New 19")).to_have_count(1)
    expect(dialog.locator("details")).to_have_attribute("open", "")
    expect(dialog.get_by_label("Message")).to_have_value("Half an edit")
    expect(dialog.get_by_label("Message")).to_be_focused()


def test_the_focus_stays_on_a_message_that_is_edited_or_deleted(ada: Person, person: Join, keys: list[str]) -> None:
    bob = person(ada.site, "user0002").use_session(keys[1])
    bob.open_room("room-005")
    page = ada.open_room("room-005")
    bob.write("Frist")
    ada.expect_message("Frist")
    page.keyboard.press("End")
    article = newest(page)
    message = int(article.removeprefix("article-"))
    ada.site.run(talk.edit, message, "First")
    ada.expect_message("First")
    assert focus(page) == article
    ada.site.run(talk.delete, message)
    ada.expect_message("This message was deleted.")
    assert focus(page) == article


def test_the_focus_is_not_lost_when_all_messages_are_replaced(ada: Person) -> None:
    page = ada.open_room("room-006")
    page.keyboard.press("End")
    page.keyboard.press("k")
    # As after more changes than are sent one by one.
    page.evaluate("() => document.getElementById('messages').replaceChildren()")
    page.wait_for_function("() => document.activeElement !== document.body")


def test_the_link_to_older_messages_waits_for_enter_and_leads_to_the_nearest(ada: Person) -> None:
    page = ada.open_room("room-001")
    oldest = page.locator("#messages article").first.get_attribute("id")
    link = page.locator("#older-link")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "before=" in request.url else None)
    link.focus()
    expect(link).to_be_in_viewport()
    # The browser reports within two frames that the link has come into view.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    page.evaluate("() => fetch(location.href).then(answer => answer.text())")
    assert asked == []
    page.keyboard.press("Enter")
    expect(page.locator("#messages > .message").nth(50)).to_be_attached()
    nearest = page.locator(f"#messages > .message:has(+ .message #{oldest}) article")
    expect(nearest).to_be_focused()
    assert page.evaluate(IS_SEEN) == ""


def test_the_focus_returns_to_a_message_that_was_edited_behind_its_dialog(
    ada: Person, person: Join, keys: list[str]
) -> None:
    bob = person(ada.site, "user0002").use_session(keys[1])
    bob.open_room("room-005")
    page = ada.open_room("room-005")
    bob.write("Frist again")
    ada.expect_message("Frist again")
    message = int(newest(page).removeprefix("article-"))
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    ada.site.run(talk.edit, message, "First again")
    ada.expect_message("First again")
    page.keyboard.press("Escape")
    expect(page.locator(f"#time-{message}")).to_be_focused()
    assert page.evaluate(IS_SEEN) == ""


def test_the_focus_stays_in_place_when_the_composer_is_removed(ada: Person, person: Join, keys: list[str]) -> None:
    cleo = person(ada.site, "user0003", expected="status of 40").use_session(keys[2])
    page = cleo.open_room("room-006")
    page.locator("#composer-body").focus()
    ada.go("/rooms/room-006/members/")
    ada.page.get_by_text("Change user0003").click()
    ada.page.get_by_role("button", name="Remove user0003").click()
    expect(page.locator("#composer")).to_have_count(0)
    page.wait_for_function("() => document.activeElement.closest('#composer-region') !== null")


def tab_through(page: Page, most: int = 120) -> list[str]:
    """Go through everything the Tab key reaches; returns what was wrong."""
    wrong = []
    page.keyboard.press("Tab")
    first, steps = page.evaluate("() => { window.first = document.activeElement; return true; }"), 0
    assert first
    while steps < most:
        problem = page.evaluate(IS_SEEN)
        if problem:
            wrong.append(f"{focus(page)}: {problem}")
        page.keyboard.press("Tab")
        steps += 1
        if page.evaluate("() => document.activeElement === window.first || document.activeElement === document.body"):
            return wrong
    return [*wrong, f"a trap: not left after {most} steps, at {focus(page)}"]


@pytest.mark.parametrize("size", [(1280, 800), (320, 256)])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/rooms/",
        "/rooms/new/",
        "/rooms/room-002/members/",
        "/rooms/room-002/settings/",
        "/rooms/room-002/announcements/",
        "/accounts/preferences/",
        "/accounts/profile/",
        "/site/",
        "/keys/",
        "/accessibility/",
    ],
)
def test_the_tab_key_reaches_everything_and_the_focus_is_visible(ada: Person, path: str, size: tuple[int, int]) -> None:
    ada.page.set_viewport_size({"width": size[0], "height": size[1]})
    page = ada.go(path)
    assert tab_through(page) == []


def test_a_room_does_not_trap_the_tab_key(ada: Person) -> None:
    page = ada.open_room("room-001")
    for size in ((1280, 800), (320, 256)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.reload()
        ada.wait_until_live()
        page.locator("#scroller").focus()
        assert tab_through(page, 260) == []


def test_a_conversation_by_keyboard_alone(ada: Person) -> None:
    """Create a room, write, edit and delete."""
    page = ada.go("/")
    press_until(page, "New room")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/rooms/new/$"))
    page.get_by_label("Name").focus()
    page.keyboard.type("By hand")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/rooms/by-hand/$"))
    ada.wait_until_live()
    page.keyboard.press("Escape")
    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    ada.expect_nothing_pending()
    page.keyboard.press("Shift+F6")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Message")).to_be_visible()
    press_until(page, "body", "name")
    page.keyboard.press("Control+A")
    page.keyboard.type("Hello again")
    press_until(page, "Save")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    ada.expect_message("Hello again")
    assert page.evaluate(IS_SEEN) == ""
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    press_until(page, "Delete this message")
    page.keyboard.press("Enter")
    press_until(page, "Delete")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    ada.expect_message("This message was deleted.")
    assert page.evaluate(IS_SEEN) == ""


def press_until(page: Page, name: str, by: str = "text") -> None:
    """Press the Tab key until the element with this text or name has the focus."""
    script = {
        "text": "name => document.activeElement.textContent.trim() === name",
        "name": "name => document.activeElement.name === name",
    }[by]
    for _ in range(80):
        if page.evaluate(script, name):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"The Tab key does not reach {name}")

"""Writing: input methods, screen keyboards, layouts that are not Latin, clicks that belong to the browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import CDPSession, Page, expect

from e2e.conftest import Join, Person
from tests.servers import Site

COMPOSING = 229
ENTER = 13


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=2, rooms=3, messages=30)


@pytest.fixture
def ada(person: Join, site: Site, keys: list[str]) -> Iterator[Person]:
    yield person(site, "user0001", reduced_motion="reduce").use_session(keys[0])


class InputMethod:
    """The browser's input method, driven as the system drives it."""

    def __init__(self, page: Page) -> None:
        self.session: CDPSession = page.context.new_cdp_session(page)

    def compose(self, text: str) -> None:
        """Show text that is still being composed."""
        at = {"selectionStart": len(text), "selectionEnd": len(text)}
        self.session.send("Input.imeSetComposition", {"text": text, **at})

    def settle(self, text: str) -> None:
        """End the composition with this text."""
        self.session.send("Input.insertText", {"text": text})

    def enter(self, kind: str, key_code: int) -> None:
        """Press or release the Enter key, with a Windows key code."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": key_code}
        self.session.send("Input.dispatchKeyEvent", {"type": kind, **key})


def test_enter_that_follows_the_end_of_a_composition_sends_nothing(ada: Person) -> None:
    page = ada.open_room("room-001")
    page.locator("#composer-body").focus()
    method = InputMethod(page)
    method.compose("にほん")
    method.settle("日本")
    method.enter("rawKeyDown", COMPOSING)
    method.enter("keyUp", ENTER)
    expect(page.locator("#composer-body")).to_have_value("日本")
    ada.expect_nothing_pending()
    page.keyboard.press("Enter")
    ada.expect_message("日本")


def test_enter_that_ends_a_composition_sends_nothing(ada: Person) -> None:
    page = ada.open_room("room-001")
    page.locator("#composer-body").focus()
    method = InputMethod(page)
    method.compose("すし")
    method.enter("rawKeyDown", COMPOSING)
    method.settle("寿司")
    method.enter("keyUp", ENTER)
    expect(page.locator("#composer-body")).to_have_value("寿司")
    ada.expect_nothing_pending()


@pytest.mark.parametrize("ends_first", [True, False], ids=["ended before", "ended by it"])
def test_korean_needs_enter_only_once(ada: Person, ends_first: bool) -> None:
    page = ada.open_room("room-001")
    page.locator("#composer-body").focus()
    method = InputMethod(page)
    text = "한" if ends_first else "글"
    method.compose(text)
    if ends_first:
        method.settle(text)
    method.enter("rawKeyDown", COMPOSING)
    if not ends_first:
        method.settle(text)
    method.enter("keyUp", ENTER)
    ada.expect_message(text)


def test_korean_is_sent_once_if_the_browser_reports_the_key_twice(ada: Person) -> None:
    page = ada.open_room("room-001")
    page.locator("#composer-body").focus()
    method = InputMethod(page)
    method.compose("밥")
    method.enter("rawKeyDown", COMPOSING)
    method.settle("밥")
    method.enter("rawKeyDown", ENTER)
    method.enter("keyUp", ENTER)
    ada.expect_message("밥")
    expect(page.locator("#composer-body")).to_have_value("")


def test_a_word_that_a_screen_keyboard_reinserts_after_sending_is_removed(ada: Person) -> None:
    page = ada.open_room("room-001")
    page.locator("#composer-body").press_sequentially("See you ")
    InputMethod(page).compose("tomorrow")
    # As a suggestion bar does: the unfinished word is typed again once the box is empty.
    page.evaluate(
        """() => {
          const box = document.getElementById("composer-body");
          box.form.requestSubmit();
          box.value = "tomorrow";
          box.dispatchEvent(new InputEvent("input", { inputType: "insertCompositionText", data: "tomorrow" }));
        }"""
    )
    ada.expect_message("See you tomorrow")
    expect(page.locator("#composer-body")).to_have_value("")
    page.locator("#composer-body").press_sequentially("tomorrow")
    expect(page.locator("#composer-body")).to_have_value("tomorrow")


def test_on_a_touchscreen_enter_adds_a_line_and_control_enter_sends(person: Join, site: Site, keys: list[str]) -> None:
    ada = person(site, "user0001", has_touch=True, is_mobile=True).use_session(keys[0])
    box = ada.open_room("room-001").locator("#composer-body")
    box.press_sequentially("one")
    box.press("Enter")
    box.press_sequentially("two")
    expect(box).to_have_value("one\ntwo")
    box.press("Control+Enter")
    expect(ada.page.locator("#messages .body").last).to_have_text("one\ntwo", use_inner_text=True)


@pytest.mark.parametrize(("up", "down"), [("л", "о"), ("ن", "ت")], ids=["Cyrillic", "Arabic"])
def test_letter_keys_go_by_position_on_layouts_that_are_not_latin(ada: Person, up: str, down: str) -> None:
    page = ada.open_room("room-002")
    press = """
    ([key, code]) =>
      document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, code, bubbles: true }))
    """
    page.locator("#messages article").last.focus()
    newest = page.evaluate("() => document.activeElement.id")
    page.evaluate(press, [up, "KeyK"])
    assert page.evaluate("() => document.activeElement.id") != newest
    page.evaluate(press, [down, "KeyJ"])
    assert page.evaluate("() => document.activeElement.id") == newest


@pytest.mark.parametrize("key", ["Control", "Shift"])
def test_a_click_with_a_modifier_key_is_left_to_the_browser(ada: Person, key: str) -> None:
    page = ada.open_room("room-002")
    with page.context.expect_page() as opened:
        page.locator("#messages .meta a").last.click(modifiers=[key])  # type: ignore[list-item]
    expect(opened.value.locator("h1")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_marks_of_each_sample_surround_its_word_from_right_to_left_too(
    person: Join, site: Site, keys: list[str]
) -> None:
    ada = person(site, "user0001", locale="ar").use_session(keys[0])
    page = ada.open_room("room-001")
    # The distance between the first word and the two asterisks before it.
    gap = page.evaluate(
        """() => {
          const texts = [];
          const walker = document.createTreeWalker(document.getElementById("composer-hint"), NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) texts.push(walker.currentNode);
          const box = (node, start, end) => {
            const range = new Range();
            range.setStart(node, start);
            range.setEnd(node, end);
            return range.getBoundingClientRect();
          };
          const node = texts.find(({ data }) => data.startsWith("**"));
          const word = /[^*]+/.exec(node.data)[0].length;
          const [before, within] = [box(node, 0, 2), box(node, 2, 2 + word)];
          return Math.max(before.left - within.right, within.left - before.right);
        }"""
    )
    assert gap < 2


def test_a_pasted_text_that_is_too_long_is_refused_and_not_cut(ada: Person) -> None:
    page = ada.open_room("room-003")
    box = page.locator("#composer-body")
    box.focus()
    page.keyboard.insert_text("😀" * 10_001)
    box.press("Enter")
    expect(page.locator("#composer-errors")).to_contain_text("this one has 10001. Shorten it, or send it in parts.")
    expect(box).to_have_value("😀" * 10_001)
    ada.expect_nothing_pending()
    box.press("End")
    box.press("Backspace")
    box.press("Enter")
    expect(page.locator("#messages .body").last).to_have_text("😀" * 10_000)
    expect(page.locator("#composer-errors")).to_be_empty()

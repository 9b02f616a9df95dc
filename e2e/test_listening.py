"""What is announced to screen readers, and where a user stopped reading."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import REFUSED, Join, Person
from tests.scenes import people
from tests.servers import Site

# Records what the live regions of a page announce.
EAR = """
() => {
  window.heard = [];
  for (const region of document.querySelectorAll("[aria-live], [role=alert], [role=status]")) {
    new MutationObserver(() => region.textContent.trim() && window.heard.push(region.textContent.trim()))
      .observe(region, { childList: true, characterData: true, subtree: true });
  }
}
"""


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=4, rooms=21, messages=0)


@pytest.fixture
def prefer(site: Site) -> Iterator[None]:
    """Resets what a test changed about announcements."""
    yield
    site.run(people.reset_what_is_announced)


def listen(page: Page) -> None:
    """Record what is announced from now on."""
    page.evaluate(EAR)


def heard(page: Page) -> list[str]:
    """What has been announced, without the space that makes a repeated text differ."""
    said: list[str] = page.evaluate("() => window.heard")
    return [line.strip().strip("\u00a0") for line in said]


@pytest.fixture
def pair(person: Join, site: Site, keys: list[str]) -> Iterator[tuple[Person, Person]]:
    """A listener and a writer. Each test uses a room of its own."""
    ada = person(site, "user0001", expected=REFUSED).use_session(keys[0])
    bob = person(site, "user0002").use_session(keys[1])
    yield ada, bob


rooms = (f"room-{number:03}" for number in range(1, 22))


def meet(ada: Person, bob: Person) -> str:
    """Have both open an unused room, and record what is announced to Ada; returns its slug."""
    slug = next(rooms)
    ada.open_room(slug)
    bob.open_room(slug)
    listen(ada.page)
    return slug


def test_a_message_is_announced_once_author_first(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    meet(ada, bob)
    bob.write("Shall we **play**?")
    ada.expect_message("Shall we play?")
    expect(ada.page.locator("#announce")).to_have_text("user0002: Shall we play?")
    bob.write("Shall we **play**?")
    expect(ada.page.locator("#messages .message")).to_have_count(2)
    ada.page.wait_for_function("() => window.heard.length === 2")
    assert heard(ada.page) == ["user0002: Shall we play?"] * 2


def test_a_burst_is_announced_in_at_most_three_lines(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    meet(ada, bob)
    for number in range(20):
        bob.write(f"Line {number}")
    expect(ada.page.locator("#messages .message")).to_have_count(20)
    counted = "() => window.heard.reduce((sum, line) => sum + (/new messages/.test(line) ? parseInt(line) : 1), 0)"
    ada.page.wait_for_function(f"() => ({counted})() === 20")
    said = heard(ada.page)
    assert len(said) <= 3
    assert said[-1].endswith("new messages")


def test_own_messages_edits_and_deletions_are_not_announced(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    meet(ada, bob)
    ada.write("Mine")
    ada.expect_message("Mine")
    for text in ("Theirs", "Gone soon"):
        bob.write(text)
        ada.expect_message(text)
    bob.edit("Theirs", "Theirs, edited")
    ada.expect_message("Theirs, edited")
    bob.delete("Gone soon")
    expect(ada.page.locator("#messages .deleted")).to_have_count(1)
    bob.write("Last")
    ada.page.wait_for_function("() => window.heard.some(line => line.includes('Last'))")
    assert heard(ada.page) == [f"user0002: {text}" for text in ("Theirs", "Gone soon", "Last")]


def test_sent_and_edited_are_announced_if_preferred(pair: tuple[Person, Person], site: Site, prefer: None) -> None:
    ada, bob = pair
    site.run(people.set_preferences_of_all, says_sent=True, says_changes=True)
    meet(ada, bob)
    ada.write("Mine")
    expect(ada.page.locator("#announce")).to_have_text("Sent")
    bob.write("Frist")
    bob.expect_nothing_pending()
    bob.edit("Frist", "First")
    expect(ada.page.locator("#announce")).to_have_text("Edited: user0002: First")
    assert heard(ada.page) == ["Sent", "user0002: Frist", "Edited: user0002: First"]


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("mentions", ["user0002: You too, @USER0001?"]),
        ("count", ["1 new message", "1 new message"]),
        ("off", []),
    ],
)
def test_the_level_chosen_for_a_room_limits_what_is_announced(
    pair: tuple[Person, Person], person: Join, keys: list[str], prefer: None, level: str, said: list[str]
) -> None:
    ada, bob = pair
    slug = meet(ada, bob)
    # Chosen on another device, without scripts.
    plain = person(ada.site, "user0001", javascript=False).use_session(keys[0])
    plain.go(f"/rooms/{slug}/announcements/")
    names = {"mentions": "name me", "count": "how many", "off": "Nothing"}
    plain.page.get_by_label(names[level]).check()
    plain.page.get_by_role("button", name="Save").click()
    expect(plain.page.get_by_text("The choice is saved.")).to_be_visible()
    ada.open_room(slug)
    listen(ada.page)
    bob.write("Anybody there?")
    ada.expect_message("Anybody there?")
    ada.page.wait_for_function("count => window.heard.length === count", arg=max(len(said) - 1, 0))
    bob.write("You too, @USER0001?")
    ada.expect_message("You too, @USER0001?")
    ada.page.wait_for_function("count => window.heard.length === count", arg=len(said))
    assert heard(ada.page) == said


@pytest.mark.parametrize(
    ("order", "pattern", "labels"),
    [
        ("text", r"Hello, user0002", ["body", "author", "time"]),
        ("time", r"\d\d:\d\d, user0002: Hello", ["time", "author", "body"]),
    ],
)
def test_announcements_and_labels_follow_the_preferred_order(
    pair: tuple[Person, Person], site: Site, prefer: None, order: str, pattern: str, labels: list[str]
) -> None:
    ada, bob = pair
    site.run(people.set_preferences_of_all, reading_order=order)
    slug = meet(ada, bob)
    bob.write("Hello")
    expect(ada.page.locator("#announce")).to_have_text(re.compile(f"^{pattern}$"))
    live = ada.page.locator("#messages article").get_attribute("aria-labelledby")
    assert live
    assert [part.split("-")[0] for part in live.split()] == labels
    ada.open_room(slug)
    assert ada.page.locator("#messages article").get_attribute("aria-labelledby") == live


def test_announcements_are_listed_and_a_key_repeats_the_last_one(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    slug = meet(ada, bob)
    for text in ("One", "Two"):
        bob.write(text)
        expect(ada.page.locator("#announce")).to_have_text(f"user0002: {text}")
    ada.page.keyboard.press("F8")
    ada.page.wait_for_function("() => window.heard.length === 3")
    ada.page.locator("#composer-body").focus()
    ada.page.keyboard.press("F8")
    ada.page.wait_for_function("() => window.heard.length === 4")
    assert heard(ada.page) == ["user0002: One"] + ["user0002: Two"] * 3
    ada.page.get_by_role("link", name="Announcements").click()
    panel = ada.page.locator("#announced")
    expect(panel.locator("li")).to_have_text(["user0002: Two", "user0002: One"])
    expect(panel.get_by_role("heading")).to_be_focused()
    ada.page.keyboard.press("Escape")
    expect(ada.page.get_by_role("link", name="Announcements")).to_be_focused()
    ada.go(f"/rooms/{slug}/announcements/")
    expect(ada.page.locator(".announced-lines li")).to_have_text([re.compile(r"^\s*user0002: Two"), re.compile("One")])


def test_the_panel_keeps_the_last_fifty_announcements(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    meet(ada, bob)
    # By the announcer's event, since real announcements take a quarter of a second each.
    ada.page.evaluate(
        "() => { for (let one = 1; one <= 60; one += 1)"
        " document.dispatchEvent(new CustomEvent('announced', { detail: `Line ${one}` })); }"
    )
    lines = ada.page.locator("#announced li")
    expect(lines).to_have_count(50)
    expect(lines.first).to_have_text("Line 60")


def test_while_a_dialog_is_open_announcements_are_made_in_it(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    meet(ada, bob)
    ada.write("Mine")
    ada.expect_nothing_pending()
    ada.page.locator("#messages .meta a").click()
    expect(ada.page.get_by_role("dialog")).to_be_visible()
    bob.write("Meanwhile")
    expect(ada.page.locator("dialog [aria-live]")).to_have_text("user0002: Meanwhile")


def test_a_refusal_is_announced_once_and_keeps_the_text_and_the_focus(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    meet(ada, bob)
    box = ada.page.locator("#composer-body")
    box.evaluate("box => box.dataset.most = 99999")
    box.fill("a" * 10_001)
    box.press("Enter")
    expect(ada.page.locator("#composer-errors .error")).to_be_visible()
    expect(box).to_have_value("a" * 10_001)
    expect(box).to_be_focused()
    assert [line for line in heard(ada.page) if "10001" in line] == heard(ada.page)
    assert len(heard(ada.page)) == 1


# Where the user stopped reading


def test_messages_missed_while_away_are_counted_marked_and_then_read(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    slug = meet(ada, bob)
    bob.write("Before")
    ada.expect_message("Before")
    with ada.page.expect_response("**/read/"):
        ada.expect_message("Before")
    ada.go("/")
    for text in ("One", "Two", "Three"):
        bob.write(text)
    bob.expect_nothing_pending()
    ada.page.reload()
    expect(ada.page.locator(f"#room-{slug} .unread")).to_have_text("3 unread")
    with ada.page.expect_response("**/read/"):
        ada.open_room(slug)
    expect(ada.page.locator("#first-unread")).to_have_text("3 unread messages")
    line = ada.page.locator("#messages > li")
    expect(line.nth(1)).to_have_class("unread-line")
    expect(ada.page).to_have_title(re.compile(r"^Room \d+ – Parley$"))
    ada.page.get_by_role("link", name="3 unread messages: go to the first").click()
    expect(ada.page.locator("#first-unread")).to_be_focused()
    ada.go("/")
    expect(ada.page.locator(f"#room-{slug}")).to_be_visible()
    expect(ada.page.locator(f"#room-{slug} .unread")).to_have_count(0)


def test_hiding_a_tab_stops_marking_as_read_and_its_title_counts(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    slug = meet(ada, bob)
    ada.page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    bob.write("One")
    ada.write("Own")
    ada.expect_message("Own")
    bob.write("Two")
    ada.expect_message("Two")
    expect(ada.page).to_have_title(re.compile(r"^\(2 unread\) Room"))
    ada.page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(ada.page).to_have_title(re.compile(r"^Room"))
    other = ada.context.new_page()
    with ada.page.expect_response("**/read/"):
        other.goto(f"{ada.site.url}/")
    other.reload()
    expect(other.locator(f"#room-{slug} .unread")).to_have_count(0)


def test_opening_a_room_in_a_hidden_tab_marks_nothing_as_read(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    slug = meet(ada, bob)
    ada.go("/")
    bob.write("Nobody looks")
    bob.expect_nothing_pending()
    hidden = ada.context.new_page()
    hidden.add_init_script("Object.defineProperty(document, 'hidden', { value: true })")
    hidden.goto(f"{ada.site.url}/rooms/{slug}/")
    expect(hidden.locator("#messages .message")).to_have_count(1)
    hidden.close()
    ada.page.reload()
    expect(ada.page.locator(f"#room-{slug} .unread")).to_have_text("1 unread")


def test_a_message_seen_just_before_leaving_counts_as_read(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    slug = meet(ada, bob)
    with ada.page.expect_response("**/read/"):
        bob.write("One")
    # The next report to the server comes after two seconds at the earliest.
    bob.write("Two")
    ada.expect_message("Two")
    # A browser reports it while the next page is already loading.
    for _ in range(20):
        ada.go("/")
        if not ada.page.locator(f"#room-{slug} .unread").count():
            return
    raise AssertionError("It still counts as unread")


def test_the_room_list_counts_new_messages_in_other_rooms(pair: tuple[Person, Person]) -> None:
    ada, bob = pair
    meet(ada, bob)
    elsewhere = next(rooms)
    bob.open_room(elsewhere)
    bob.write("Over here")
    bob.expect_nothing_pending()
    ada.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(ada.page.locator(f"#room-{elsewhere} .unread")).to_have_text("1 unread")


def test_without_scripts_messages_that_a_page_showed_count_as_read(
    pair: tuple[Person, Person], person: Join, keys: list[str]
) -> None:
    _, bob = pair
    slug = next(rooms)
    bob.open_room(slug)
    bob.write("Hello")
    bob.expect_nothing_pending()
    cleo = person(bob.site, "user0003", javascript=False).use_session(keys[2])
    cleo.go("/")
    expect(cleo.page.locator(f"#room-{slug} .unread")).to_have_text("1 unread")
    cleo.page.get_by_role("link", name=f"Room {slug[-3:]}").click()
    expect(cleo.page).to_have_title(re.compile(r"^\(1 unread\)"))
    expect(cleo.page.locator("#first-unread")).to_have_text("1 unread message")
    cleo.go("/")
    expect(cleo.page.locator(f"#room-{slug} .unread")).to_have_count(0)

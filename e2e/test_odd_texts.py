"""Texts that are wide, tall, stacked or right to left stay inside their own message."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Join, Person
from tests.scenes import talk
from tests.servers import Site

ZALGO = "Z" + "\u0301\u0489\u0325\u030d" * 40
# Unbreakable: a cluster of 3,000 consonants, 1,000 joined emoji, and wide ligatures.
CLUSTERS = ["क्" * 3000, "👩\u200d" * 1000, "\ufdfd" * 300]
TALL = ["a\n" * 5000, "> " * 17 + "b" * 900 + "\n" * 50 + "c", "```\n" + "d\n" * 300 + "```"]
MIXED = (
    "English first\nثم بالعربية\n\nمرحبا بالعالم\n\n- `code` شرح\n- Second\n\n> اقتباس\n\n```\na = (1, 2)\n```\n\n"
    "https://a.co/b مرحبا"
)
TEXTS = [
    "Before",
    ZALGO,
    "After",
    *CLUSTERS,
    *TALL,
    MIXED,
    "1. One\n2. Two\n   - Three\n\nSee **https://example.com/a**。",
    "これは**「重要」**です。https://example.com/を見て",
    "End",
]


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    keys = site.populate(users=2, rooms=1, messages=0)
    site.run(talk.create_attic, TEXTS)
    return keys


@pytest.fixture
def join(person: Join, site: Site, keys: list[str]) -> Join:
    def make(**options: object) -> Person:
        options = {"viewport": {"width": 360, "height": 740}} | options
        return person(site, "user0001", **options).use_session(keys[0])

    return make


def picture(page: Page, name: str) -> None:
    """Keep a screenshot if the environment says where: PICTURES=folder."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder) / f"odd-texts-{name}.png")


@pytest.mark.parametrize(
    ("width", "theme", "language"), [(360, "light", "en"), (1280, "dark", "en"), (1280, "light", "ar")]
)
def test_wide_texts_do_not_widen_the_page_and_tall_ones_are_folded(
    join: Join, width: int, theme: str, language: str
) -> None:
    page = join(viewport={"width": width, "height": 740}, color_scheme=theme, locale=language).open_room("attic")
    picture(page, f"{width}-{theme}-{language}")
    for selector in ("html", ".scroller", ".message article"):
        script = "all => all.map(one => one.scrollWidth - one.clientWidth)"
        assert max(page.locator(selector).evaluate_all(script)) <= 0, selector
    heights = page.locator("#messages .body").evaluate_all("all => all.map(one => one.clientHeight)")
    assert len(heights) == len(TEXTS)
    assert max(heights) < 900
    folded = [text.strip()[:1] for text in page.locator("#messages .message:has(.fold) .body").all_inner_texts()]
    assert {"a", "b", "d"} <= set(folded)
    assert not {"B", "E", "こ", "O"} & set(folded)


def test_unbreakable_text_scrolls_inside_its_message_by_keyboard(join: Join) -> None:
    page = join().open_room("attic")
    body = page.locator("#messages .body", has_text="क्क्")
    assert body.evaluate("one => one.scrollWidth > one.clientWidth")
    body.focus()
    assert body.evaluate("one => one === document.activeElement")
    body.press("ArrowRight")
    page.wait_for_function("one => one.scrollLeft > 0", arg=body.element_handle())


def test_piled_up_marks_stay_in_their_own_message(join: Join) -> None:
    page = join().open_room("attic")
    before, body = (
        page.locator("#messages .body", has_text="Before"),
        page.locator("#messages .body", has_text="Z\u0301"),
    )
    before.scroll_into_view_if_needed()
    box = before.bounding_box()
    assert box
    with_marks = page.screenshot(clip=box)
    body.evaluate("one => one.style.visibility = 'hidden'")
    assert page.screenshot(clip=box) == with_marks


@pytest.mark.parametrize("javascript", [True, False])
def test_a_folded_message_opens_by_keyboard_with_and_without_scripts(join: Join, javascript: bool) -> None:
    page = join(javascript=javascript).go("/rooms/attic/")
    item = page.locator("#messages .message").nth(len(TEXTS) - 7)
    body, control = item.locator(".body"), item.locator("summary")
    expect(control).to_have_text("Show the whole message")
    low = body.bounding_box()
    control.focus()
    control.press("Enter")
    high = body.bounding_box()
    assert low
    assert high
    assert low["height"] < 500
    assert high["height"] > 100_000
    # Screen readers get the whole text, folded or not, and the control's state.
    expect(item.locator("details")).to_have_attribute("open", "")
    control.press("Enter")
    assert body.bounding_box() == pytest.approx(low, abs=2) or body.evaluate("one => one.clientHeight") < 500


def test_the_numbers_of_a_list_are_announced(join: Join, site: Site) -> None:
    page = join().open_room("room-001")
    site.run(talk.post, "room-001", "user0002", "7. a\n8. b\n3. c\n- d")
    page.reload()
    expect(page.locator("#messages .body").last).to_contain_text("d")
    script = "async one => { document.dispatchEvent(new CustomEvent('message-arrived', { detail: one })) }"
    page.locator("#messages .message").last.evaluate(script)
    expect(page.locator("#announce")).to_have_text("user0002: 7. a 8. b 3. c d")


def test_printing_unfolds_every_message(join: Join) -> None:
    page = join().go("/rooms/attic/")
    page.emulate_media(media="print")
    heights = page.locator("#messages .body").evaluate_all("all => all.map(one => one.clientHeight)")
    assert max(heights) > 100_000
    assert page.locator("#messages .fold:visible").count() == 0


def test_each_block_has_its_own_direction_and_code_runs_left_to_right(join: Join) -> None:
    page = join().open_room("attic")
    body = page.locator("#messages .body", has_text="English first")
    script = "all => all.map(one => getComputedStyle(one).direction)"
    assert body.locator("> p").evaluate_all(script) == ["ltr", "rtl", "rtl"]
    assert body.locator("li").evaluate_all(script) == ["rtl", "ltr"]
    assert body.locator("blockquote").evaluate_all(script) == ["rtl"]
    assert body.locator("code, pre, p > a").evaluate_all(script) == ["ltr"] * 4
    # Lines within a paragraph too: the Arabic one is aligned to the other side.
    lines = body.locator("> p").first.evaluate(
        """one => { const range = document.createRange(); range.selectNodeContents(one);
        const box = one.getBoundingClientRect();
        return Array.from(range.getClientRects(), line => [line.left - box.left, box.right - line.right]) }"""
    )
    assert lines[0][0] < 1 < lines[0][1]
    assert lines[-1][1] < 1 < lines[-1][0]

"""Every page in a made-up language, which shows what can't be translated, and in Arabic."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from e2e import pseudo
from e2e.conftest import Join
from e2e.test_accessibility import CUT_OFF, STATES
from tests.scenes import everything, people
from tests.servers import Site

# All but the pages whose address has the token of an invitation.
PATHS = sorted({(state.viewer or 0, state.path) for state in STATES.values() if "ROOM" not in state.path})

# All words seen or heard on a page, without what users wrote and what is the same in all languages.
WORDS = """
() => {
  const notOurs = "bdi, [dir=auto], .body, code, kbd, script, noscript, style, template, .statement, .brand, time,"
    + " #id_time_zone, textarea, option[lang], .picture-row img, iframe, #composer-hint";
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.closest(notOurs) && node.data.trim()) found.push(node.data.trim());
  }
  for (const one of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]")) {
    if (one.closest(notOurs)) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt"]) {
      if (one.getAttribute(name)) found.push(one.getAttribute(name));
    }
  }
  return [...found, document.title.replace(/( – )?Parley$/, "")];
}
"""

# Names and terms that are the same in all languages.
NAMES = (
    "user0001|user0002|user0003|user|ada|Ada Lovelace|Attic|Empty|Archived|Lobby|Room 001|For readers|For the new ones"
    "|Cellar|not-here-yet"
    "|Parley|GitHub|Example School|JavaScript|Firefox|Chrome|HeadlessChrome|Linux|Asia/Kolkata|UTC|JPEG|PNG|WebP|GIF"
    "|English|Deutsch|Pseudo|Safari|ZIP|JSON|TOTP|QR|PIN|localhost|Tab|Ctrl|Shift|Home|End"
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site(environment={"DJANGO_SETTINGS_MODULE": "e2e.pseudo"})
    pseudo.write_catalogues(site.folder)
    site.environment |= {f"GITHUB_CLIENT_{part}": "x" for part in ("ID", "SECRET")}
    with site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    keys = site.populate(users=3, rooms=1, messages=60)
    site.run(everything.people_and_talk)
    return keys


def texts(page: Page) -> list[str]:
    found: list[str] = page.evaluate(WORDS)
    return found


def plain_words(text: str) -> list[str]:
    """The words in a text that were not translated."""
    without = re.sub(rf"\b({NAMES})\b|\S+@\S+|https?://\S+|[⟦⟧~]", " ", text)
    words = re.findall(r"[^\W\d_]{3,}", without)
    return [word for word in words if re.fullmatch("[A-Za-z]+", word) and re.search("[aeiouyAEIOUYcnsz]", word)]


@pytest.mark.parametrize("language", ["eo", "ar"])
def test_every_page_is_fully_translated_and_keeps_its_layout(
    site: Site, keys: list[str], person: Join, language: str
) -> None:
    site.run(people.set_preferences_of_all, language=language)
    viewers = {
        viewer: person(
            site, f"viewer {viewer}", expected="status of 4|ERR_|htmx:ws|WebSocket", base_url=site.url, locale=language
        )
        for viewer in range(4)
    }
    for viewer, one in viewers.items():
        if viewer:
            one.use_session(keys[viewer - 1])
        one.page.set_viewport_size({"width": 320, "height": 640})
    wrong = []
    for viewer, path in PATHS:
        page = viewers[viewer].go(path)
        expect(page.locator("html")).to_have_attribute("lang", language)
        for text in texts(page):
            if words := plain_words(text):
                wrong.append(f"{path}: {words} in {text!r}")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wrong.append(f"{path}: wider than the window")
        wrong += [f"{path}: cut off: {one}" for one in page.evaluate(CUT_OFF)]
    assert not wrong, "\n".join(wrong)


def test_live_changes_arrive_in_the_language_of_each_page(site: Site, keys: list[str], person: Join) -> None:
    site.run(people.set_preferences, {"user0001": {"language": "ar"}, "user0002": {"language": "de"}})
    ada, bob = (person(site, f"user000{n}").use_session(keys[n - 1]) for n in (1, 2))
    ada.open_room("room-001")
    bob.open_room("room-001")
    bob.write("Servus")
    bob.expect_nothing_pending()
    page = bob.page
    page.locator("#messages .meta a").last.click()
    page.get_by_text("Diese Nachricht löschen").click()
    page.get_by_role("button", name="Löschen", exact=True).click()
    expect(ada.page.locator("#messages .body").last).to_have_text("حُذفت هذه الرسالة.")
    expect(page.locator("#messages .body").last).to_have_text("Diese Nachricht wurde gelöscht.")
    live = bob.markup()[-1]
    bob.open_room("room-001")
    assert bob.markup()[-1] == live

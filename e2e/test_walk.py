"""
A random walk of a page while everything breaks that can: each text typed is stored once, is in a box, or waits
visibly with a true note beside it; no other user who signs in at that page sees it.

A longer walk, with other steps: make walk STEPS=500 WALK_SEED=7
"""

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Error, expect

from e2e.conftest import Join, Person
from tests import install
from tests.servers import Postgres
from tests.way import SiteBehind, Stage, Way

SEED = os.environ.get("WALK_SEED", "1")
STEPS = int(os.environ.get("WALK_STEPS", "60"))
ADA, BOB = "user0001", "user0002"
ROOMS = ["room-001", "room-002", "room-003"]
PATIENCE = 30_000  # milliseconds
NOT_YET = "Not stored yet. It is kept here and sent again by itself."
SIGNED_OUT = (
    "Not sent: you are signed out. It is kept here. Sign in again, then come back to this page: it is sent then."
)
WORD = re.compile(r"w\d+x")

SEEN = """() => ({
  viewer: document.documentElement.dataset.viewer,
  boxes: Array.from(document.querySelectorAll("textarea"), (one) => one.value).join(" "),
  all: document.documentElement.outerHTML,
  kept: document.URL.startsWith("http:") ? Object.values({ ...localStorage, ...sessionStorage }).join(" ") : "",
  canWrite: Boolean(document.querySelector("#composer-body:not([readonly])")),
  isDialog: Boolean(document.getElementById("dialog")?.open),
})"""
ALL_SAY = """(words) => Array.from(document.querySelectorAll("#pending > li .meta"))
  .every(({ textContent }) => words.includes(textContent))"""
IS_SAVED_OR_TOLD = """() => !document.getElementById("dialog").open
  || (!document.querySelector("dialog .htmx-request") && document.querySelector("dialog [role=alert]"))"""
COME_BACK = "() => ['online', 'focus'].forEach((name) => dispatchEvent(new Event(name)))"


class Walk:
    """A user at a page, while the network, the site and its database break."""

    def __init__(self, ada: Person, stage: Stage) -> None:
        self.page, self.context = ada.page, ada.context
        self.stage, self.url, self.database = stage, stage.site.url, stage.postgres.url
        self.chance = random.Random(SEED)
        # The author of each word.
        self.typed: dict[str, str] = {}
        self.signed_in = ""
        self.room = ROOMS[0]
        self.log: list[str] = []
        with psycopg.connect(self.database) as database:
            self.people = {str(pk): name for pk, name in database.execute("SELECT id, username FROM accounts_user")}

    # What the page and the database hold

    def seen(self) -> dict[str, Any]:
        """The state of the page; tries again while another page is loading."""
        for _ in range(20):
            with suppress(Error):
                found: dict[str, Any] = self.page.evaluate(SEEN)
                return found
        raise AssertionError("There is no page to look at")

    def viewer(self) -> str:
        """The user for whom the page was rendered; empty if it is not the site's."""
        viewer: str = self.people.get(self.seen()["viewer"] or "", "")
        return viewer

    def stored(self) -> dict[str, list[str]]:
        """The authors of the messages that contain each word."""
        found: dict[str, list[str]] = {}
        with psycopg.connect(self.database) as database:
            query = "SELECT body, username FROM chat_message JOIN accounts_user one ON one.id = author_id"
            for body, author in database.execute(query):
                for word in WORD.findall(body):
                    found.setdefault(word, []).append(author)
        return found

    # What a user does

    def word(self) -> str:
        """A word that occurs nowhere else."""
        word = f"w{len(self.typed)}x"
        self.typed[word] = self.viewer()
        return word

    def type(self) -> None:
        """Add a word to the text in the box, without sending it."""
        box = self.page.locator("#composer-body")
        box.press("End")
        self.page.keyboard.insert_text(f" {self.word()} ")

    def say(self) -> None:
        """Send a word by the Enter key."""
        self.type()
        self.page.locator("#composer-body").press("Enter")
        self.wait_for_words()

    def say_several(self) -> None:
        """Send several words before any is answered."""
        for _ in range(3):
            self.type()
            self.page.locator("#composer-body").press("Enter")
        self.wait_for_words()

    def press_send(self) -> None:
        """Send a word by the button."""
        self.type()
        self.page.get_by_role("button", name="Send", exact=True).click()
        self.wait_for_words()

    def edit(self) -> None:
        """Add a word to one of the user's newest messages."""
        links = self.page.locator(f"#messages .message[data-author='{self.viewer()}'] .meta a")
        count = links.count()
        if not count:
            return
        links.nth(self.chance.randrange(max(0, count - 5), count)).click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog.or_(self.page.locator("#refusal [role=alert]")).first).to_be_visible(timeout=PATIENCE)
        if not dialog.is_visible():
            return
        box = dialog.get_by_label("Message", exact=True)
        box.fill(f"{box.input_value()} {self.word()}")
        self.save()

    def save(self) -> None:
        """Save the edit, and wait until the dialog closes or says why not."""
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Save").click()
        self.page.wait_for_function(IS_SAVED_OR_TOLD, timeout=PATIENCE)

    def reload(self) -> None:
        self.leave(lambda: self.page.reload(wait_until="load", timeout=PATIENCE))

    def go_back(self) -> None:
        self.leave(lambda: self.page.go_back(wait_until="load", timeout=PATIENCE))

    def open_room(self) -> None:
        self.room = self.chance.choice(ROOMS)
        self.leave(lambda: self.page.goto(f"{self.url}/rooms/{self.room}/", timeout=PATIENCE))

    def is_ours(self) -> bool:
        return 'class="brand"' in self.seen()["all"]

    def leave(self, go: Callable[[], object]) -> None:
        """Go to another page, or to the browser's own if that fails."""
        with suppress(Error):
            go()
        if self.page.url == "about:blank":
            # The beginning of the history.
            self.open_room()
        elif self.stage.answers and not self.is_ours():
            # Back shows an earlier answer of a proxy.
            self.page.reload()
            assert self.is_ours()

    # What happens to the user

    def break_something(self) -> None:
        fault = self.chance.choice([*Stage.FAULTS, "lost"])
        self.stage.breaks(fault)
        # The browser knows of half the lost networks.
        self.context.set_offline(fault == "lost" and self.chance.random() < 0.5)

    def mend(self) -> None:
        """Mend everything, and have the user return to the page."""
        self.stage.is_mended()
        self.context.set_offline(False)
        self.come_back()

    def new_token(self) -> None:
        """Change the token of the cookie but not of the forms, as signing in again does."""
        token = "".join(self.chance.choices("abcdefghijklmnop", k=32))
        self.context.add_cookies([{"name": "csrftoken", "value": token, "url": self.url}])

    def expire(self) -> None:
        """End all sessions, without telling any page."""
        with psycopg.connect(self.database) as database:
            database.execute("DELETE FROM django_session")
        self.signed_in = ""

    def sign_in(self, name: str = "") -> None:
        """Sign in in another tab."""
        tab = self.context.new_page()
        tab.goto(f"{self.url}/accounts/logout/")
        if (button := tab.get_by_role("main").get_by_role("button", name="Sign Out")).is_visible():
            button.click()
            expect(tab.get_by_role("link", name="Sign in").first).to_be_visible()
        self.signed_in = name or self.chance.choice([ADA, ADA, BOB])
        tab.goto(f"{self.url}/accounts/login/")
        tab.locator("input[name=login]").fill(self.signed_in)
        tab.locator("input[name=password]").fill("parley-demo")
        tab.get_by_role("main").get_by_role("button", name="Sign in", exact=True).first.click()
        expect(tab.get_by_role("link", name="Sign out")).to_be_visible(timeout=PATIENCE)
        tab.close()
        self.come_back()

    # What must be true

    def come_back(self) -> None:
        """Return to a working page: texts that waited are sent, or say what they wait for."""
        if not self.viewer():
            self.reload()
        self.page.evaluate(COME_BACK)
        self.wait_for_words()
        self.check()

    def wait_for_words(self) -> None:
        """Wait until each text being sent is stored, or says that it isn't."""
        if self.stage.is_silent:
            return
        words = [SIGNED_OUT] if self.signed_in != self.viewer() or not self.stage.answers else []
        self.page.wait_for_function(ALL_SAY, arg=[*words, *([] if self.stage.answers else [NOT_YET])], timeout=PATIENCE)

    def check(self) -> None:
        """Fail if a text is lost, stored twice or under another name, or visible to another user."""
        seen, stored, viewer = self.seen(), self.stored(), self.viewer()
        for word, author in self.typed.items():
            assert stored.get(word, [author]) == [author], f"{word} by {author} is stored for {stored[word]}"
            is_seen = re.search(rf"\b{word}\b", seen["all"] + seen["boxes"])
            assert word in stored or is_seen or re.search(rf"\b{word}\b", seen["kept"]), f"{word} by {author} is gone"
            assert word in stored or author == viewer or not is_seen, f"{word} by {author} is seen by {viewer}"

    def step(self) -> None:
        """Do, or cause, anything that is possible now."""
        seen = self.seen()
        acts: list[Callable[[], None]] = [self.mend] * 3 if self.stage.broken else [self.break_something] * 2
        if seen["isDialog"]:
            acts += [self.save] * 2 if not self.stage.is_silent else []
        else:
            if self.viewer() and seen["canWrite"]:
                acts += [self.say, self.say, self.press_send, self.say_several, self.type]
                acts += [self.edit] * 2 if not self.stage.is_silent else []
            if not self.stage.is_silent:
                acts += [self.open_room, self.reload, self.go_back]
        if not self.stage.broken:
            acts += [self.expire, self.new_token] + ([] if self.signed_in == ADA else [self.sign_in] * 3)
            acts += [self.sign_in]
        act = self.chance.choice(acts)
        self.log.append(f"{act.__name__} {self.stage.broken} {self.signed_in} {self.room}")
        act()

    def end(self) -> Counter[str]:
        """Mend everything and open each room as each user; returns how many words were found where."""
        if self.stage.broken:
            self.mend()
        boxes = ""
        for name in (ADA, BOB):
            if self.seen()["isDialog"]:
                self.sign_in(self.viewer())
                self.save()
            self.sign_in(name)
            for self.room in ROOMS:
                self.page.goto(f"{self.url}/rooms/{self.room}/")
                self.wait_for_words()
                self.check()
                boxes += self.seen()["boxes"]
        stored = self.stored()
        places = {word: ["stored"] * len(stored.get(word, [])) + ["in a box"] * (word in boxes) for word in self.typed}
        lost = {word: found for word, found in places.items() if len(found) != 1}
        assert not lost
        return Counter(found[0] for found in places.values())


@pytest.fixture
def walk(person: Join) -> Iterator[Walk]:
    if not install.postgres_folder():
        pytest.skip("PostgreSQL is not installed")
    with Postgres() as postgres, Way() as way, SiteBehind(way, {"DATABASE_URL": postgres.url}) as site:
        site.populate(users=2, rooms=len(ROOMS), messages=0)
        yield Walk(person(site, ADA, expected=".*"), Stage(way, site, postgres))


def test_every_text_is_stored_once_or_still_in_a_box(walk: Walk) -> None:
    walk.page.goto(walk.url)
    walk.sign_in(ADA)
    walk.open_room()
    try:
        for number in range(STEPS):
            walk.step()
            if number % 50 == 49:
                print(f"{number + 1} steps, {len(walk.typed)} words", flush=True)
        print(f"Seed {SEED}, {STEPS} steps, {len(walk.typed)} words:", dict(walk.end()))
    except BaseException as error:
        steps = "\n".join([*walk.log[-40:], walk.page.url, walk.page.inner_text("body")])
        raise AssertionError(f"{error}\nRepeat it: WALK_SEED={SEED} WALK_STEPS={STEPS}\n{steps}") from error

"""Fixtures of the browser tests: real browsers, real processes."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests import install, servers
from tests.servers import Site
from tests.sockets import IS_LIVE

PASSWORD = "correct horse battery 9"

# What a browser and htmx write to the console when a server is away, and when it answers 422.
SERVER_AWAY = "ERR_|WebSocket connection|htmx:ws:error"
REFUSED = "status of 422"
# What htmx writes if a test skips minutes on the clock: more than it waits for an answer that is on its way.
MINUTES_PASSED = "htmx:error: timeout"
# The page was ready before the transition to it, so it is shown without one.
NO_TRANSITION = "Transition was aborted"

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = install.headless_browser()
    if not path:
        pytest.skip("no Chromium is installed")
    arguments = ["--disable-background-networking", "--disable-quic"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's sandbox does not work for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One process on SQLite, for all tests of a module."""
    with Site() as site:
        yield site


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    if not install.postgres_folder():
        pytest.skip("PostgreSQL is not installed")
    with servers.Postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    if not install.redis_server():
        pytest.skip("Redis is not installed")
    with servers.Redis() as redis:
        yield redis.url


@dataclass
class Person:
    """A user in a browser of their own."""

    name: str
    site: Site
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def sign_up(self, next_page: str = "/") -> "Person":
        """Create an account by the form, as a user would."""
        self.go(f"/accounts/signup/?next={next_page}")
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign up").click()
        expect(self.page).to_have_url(self.site.url + next_page)
        return self

    def use_session(self, key: str) -> "Person":
        """Have the browser signed in already."""
        self.context.add_cookies([{"name": "sessionid", "value": key, "url": self.site.url}])
        return self

    def open_room(self, slug: str) -> Page:
        """Open a room and wait until it is live."""
        self.go(f"/rooms/{slug}/")
        self.wait_until_live()
        return self.page

    def wait_until_live(self) -> None:
        self.page.wait_for_function(f"() => {IS_LIVE}")

    def write(self, text: str) -> None:
        """Type into the composer and send by Enter, which takes JavaScript."""
        self.page.locator("#composer-body").fill(text)
        self.page.locator("#composer-body").press("Enter")

    def post(self, text: str) -> None:
        """Type into the composer and press its button, which works without JavaScript."""
        self.page.locator("#composer-body").fill(text)
        self.page.get_by_role("button", name="Send").click()

    def edit(self, old: str, new: str) -> None:
        """Edit a message of this user by its dialog."""
        self.page.locator("#messages .message", has_text=old).locator(".meta a").click()
        self.page.get_by_role("dialog").get_by_label("Message").fill(new)
        self.page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(self.page.get_by_role("dialog")).to_be_hidden()

    def delete(self, text: str) -> None:
        """Delete a message of this user by its dialog."""
        self.page.locator("#messages .message", has_text=text).locator(".meta a").click()
        self.page.get_by_role("dialog").get_by_text("Delete this message").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        expect(self.page.get_by_role("dialog")).to_be_hidden()

    def bodies(self) -> list[str]:
        """The texts of the messages on the page, in order."""
        return [text.strip() for text in self.page.locator("#messages .body").all_inner_texts()]

    def markup(self) -> list[str]:
        """The messages' markup, in order."""
        script = "() => Array.from(document.querySelectorAll('#messages > .message'), (item) => item.outerHTML)"
        found: list[str] = self.page.evaluate(script)
        return found

    def markup_ids(self) -> list[str]:
        """The messages' ids, in order; works without JavaScript in the page."""
        items = self.page.locator("#messages > .message")
        return [items.nth(number).get_attribute("id") or "" for number in range(items.count())]

    def expect_message(self, text: str) -> None:
        """Wait until the conversation has this message, once."""
        expect(self.page.locator("#messages .body").get_by_text(text, exact=True)).to_have_count(1)

    def expect_nothing_pending(self) -> None:
        expect(self.page.locator("#pending > li")).to_have_count(0)


Join = Callable[..., Person]


@pytest.fixture
def person(browser: Browser) -> Iterator[Join]:
    """Creates people; fails if any of their pages wrote an error or a warning to its console."""
    people: list[Person] = []

    def make(site: Site, name: str, *, javascript: bool = True, expected: str = "(?!)", **options: Any) -> Person:
        """`expected` is a pattern of what may appear in the console because the test breaks something."""
        context = browser.new_context(java_script_enabled=javascript, **options)
        page = context.new_page()
        one = Person(name, site, context, page)

        def complain(text: str) -> None:
            if not re.search(f"{expected}|{NO_TRANSITION}", text):
                one.complaints.append(text)

        page.on("console", lambda message: complain(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complain(str(error)))
        people.append(one)
        return one

    yield make
    complaints = {one.name: one.complaints for one in people if one.complaints}
    for one in people:
        one.context.close()
    assert not complaints

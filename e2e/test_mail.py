"""A site that sends mail: codes, confirmed addresses, new passwords. Without JavaScript."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import PASSWORD, Join, Person
from tests.scenes import people
from tests.servers import Site

NEW_PASSWORD = "another battery horse 10"


def is_to(file: Path, address: str) -> bool:
    """Whether the file is a whole mail to this address."""
    text = file.read_text()
    return f"To: {address}" in text and text.endswith("-\n")


class Mailbox:
    """The folder that the site's mail goes to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[Path] = set()

    def next(self, address: str) -> str:
        """The text of the next mail, which is for this address."""
        deadline = time.monotonic() + 10
        # File names don't say which of two mails within a second came first.
        while not (
            new := [file for file in sorted(set(self.folder.glob("*.log")) - self.seen) if is_to(file, address)]
        ):
            assert time.monotonic() < deadline, "no mail has arrived"
            time.sleep(0.05)
        self.seen |= set(new)
        return new[-1].read_text()

    def code(self, address: str) -> str:
        """The code in the next mail to this address."""
        found = re.search(r"^([A-Z0-9]{4,}(?:-[A-Z0-9]{4,})*)$", self.next(address), re.MULTILINE)
        assert found
        return found[1]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    (site.folder / "mail").mkdir()
    site.environment |= {"EMAIL_URL": f"filemail:///{site.folder}/mail"}
    with site:
        yield site


@pytest.fixture
def mailbox(site: Site) -> Mailbox:
    box = Mailbox(site.folder / "mail")
    box.seen = set(box.folder.glob("*.log"))
    return box


@pytest.fixture
def come(site: Site, person: Join) -> Join:
    def make(name: str) -> Person:
        return person(site, name, javascript=False, expected="status of 4", base_url=site.url)

    return make


def sign_up(page: Page, name: str, address: str) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Email").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()


def enter(page: Page, code: str) -> None:
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Confirm").click()


def arrived(one: Person) -> None:
    expect(one.page.get_by_role("link", name=f"Account ({one.name})")).to_be_visible()


def sign_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()


def register(one: Person, mailbox: Mailbox) -> None:
    sign_up(one.page, one.name, f"{one.name}@example.org")
    enter(one.page, mailbox.code(f"{one.name}@example.org"))
    arrived(one)


def test_signing_up_requires_the_code_that_was_mailed(come: Join, mailbox: Mailbox) -> None:
    ada = come("ada")
    sign_up(ada.page, "ada", "ada@example.org")
    code = mailbox.code("ada@example.org")
    enter(ada.page, "WRONG-CODE")
    expect(ada.page.locator(".errorlist")).to_contain_text("Incorrect code")
    ada.page.goto("/rooms/new/")
    expect(ada.page).to_have_url(re.compile("/accounts/confirm-email/"))
    expect(ada.page.get_by_label("Code")).to_have_attribute("autocomplete", "one-time-code")
    enter(ada.page, code)
    arrived(ada)


def test_after_three_wrong_codes_the_right_one_is_refused(come: Join, mailbox: Mailbox) -> None:
    bea = come("bea")
    sign_up(bea.page, "bea", "bea@example.org")
    code = mailbox.code("bea@example.org")
    for number in range(3):
        enter(bea.page, f"WRONG-{number}")
    bea.page.goto("/accounts/confirm-email/")
    if bea.page.get_by_label("Code").count():
        enter(bea.page, code)
    bea.page.goto("/rooms/new/")
    expect(bea.page).to_have_url(re.compile("/accounts/login/"))


def test_signing_in_with_a_code_instead_of_a_password(come: Join, mailbox: Mailbox) -> None:
    cyd = come("cyd")
    register(cyd, mailbox)
    sign_out(cyd.page)
    cyd.page.goto("/accounts/login/?next=/rooms/lobby/")
    cyd.page.get_by_role("link", name="Send me a code by mail instead").click()
    cyd.page.get_by_label("Email").fill("cyd@example.org")
    cyd.page.get_by_role("button", name="Request Code").click()
    enter(cyd.page, mailbox.code("cyd@example.org"))
    expect(cyd.page).to_have_url(re.compile("/rooms/lobby/"))


def test_pages_do_not_reveal_whether_an_address_has_an_account(site: Site, come: Join, mailbox: Mailbox) -> None:
    site.run(people.add_address, "dan", "dan@example.org")
    seen: dict[str, list[str]] = {"dan@example.org": [], "nobody@example.org": []}
    for address, pages in seen.items():
        eve = come("eve")
        eve.page.goto("/accounts/login/code/")
        eve.page.get_by_label("Email").fill(address)
        eve.page.get_by_role("button", name="Request Code").click()
        expect(eve.page.get_by_label("Code")).to_be_visible()
        pages.append(eve.page.locator("main").inner_text().replace(address, "ADDRESS"))
        mailbox.next(address)
        eve.page.goto("/accounts/password/reset/")
        eve.page.get_by_label("Email").fill(address)
        eve.page.get_by_role("main").get_by_role("button").click()
        pages.append(eve.page.locator("main").inner_text().replace(address, "ADDRESS"))
        mailbox.next(address)
        other = come("other")
        sign_up(other.page, f"other{len(address)}", address)
        expect(other.page.get_by_label("Code")).to_be_visible()
        pages.append(other.page.locator("main").inner_text().replace(address, "ADDRESS"))
    assert seen["dan@example.org"] == seen["nobody@example.org"]


def test_a_forgotten_password_is_reset_by_a_link_that_works_once(come: Join, mailbox: Mailbox) -> None:
    fay = come("fay")
    register(fay, mailbox)
    sign_out(fay.page)
    fay.page.goto("/accounts/login/")
    fay.page.get_by_role("link", name="Forgot your password?").click()
    fay.page.get_by_label("Email").fill("fay@example.org")
    fay.page.get_by_role("main").get_by_role("button").click()
    found = re.search(r"http://127\.0\.0\.1:\d+(/accounts/password/reset/key/\S+)", mailbox.next("fay@example.org"))
    assert found
    fay.page.goto(found[1])
    for label in ("New Password", "New Password (again)"):
        fay.page.get_by_label(label, exact=True).fill(NEW_PASSWORD)
    fay.page.get_by_role("button", name="Change Password").click()
    mailbox.next("fay@example.org")  # the notice that the password was changed
    fay.page.goto("/accounts/login/")
    fay.page.get_by_label("User name or e-mail address").fill("fay@example.org")
    fay.page.get_by_label("Password").fill(NEW_PASSWORD)
    fay.page.get_by_role("button", name="Sign in").click()
    arrived(fay)
    thief = come("thief")
    thief.page.goto(found[1])
    expect(thief.page.get_by_label("New Password", exact=True)).to_have_count(0)


def test_adding_an_address_confirming_it_and_making_it_primary(come: Join, mailbox: Mailbox) -> None:
    gus = come("gus")
    register(gus, mailbox)
    gus.page.goto("/accounts/email/")
    gus.page.get_by_role("textbox", name="Email").fill("gus@work.example")
    gus.page.get_by_role("button", name="Add Email").click()
    gus.page.get_by_label("Password").fill(PASSWORD)
    gus.page.get_by_role("button", name="Confirm").click()
    enter(gus.page, mailbox.code("gus@work.example"))
    gus.page.goto("/accounts/email/")
    gus.page.get_by_label("gus@work.example").check()
    gus.page.get_by_role("button", name="Make Primary").click()
    mailbox.next("gus@example.org")  # the old address is notified
    expect(gus.page.get_by_text("gus@work.example").first).to_be_visible()
    expect(gus.page.locator("label", has_text="gus@work.example")).to_contain_text("Primary")

"""Two people on two browsers hold a conversation, and a third takes part without JavaScript."""

import pytest
from playwright.sync_api import expect

from e2e.conftest import PASSWORD, Join, Person
from tests.servers import Site


def hold_conversation(ada: Person, bob: Person, cleo: Person) -> None:
    """The main journey: sign up, create, find and join a room, chat; Cleo does so without JavaScript."""
    ada.sign_up()
    ada.page.get_by_role("link", name="New room").first.click()
    ada.page.get_by_label("Name").fill("Chess Club")
    ada.page.get_by_label("Topic").fill("Openings and endings")
    ada.page.get_by_role("button", name="Create the room").click()
    expect(ada.page.get_by_role("heading", name="Chess Club", level=1)).to_be_visible()
    ada.wait_until_live()

    for newcomer in (bob, cleo):
        newcomer.sign_up("/rooms/")
        newcomer.page.get_by_label("Part of its name").fill("chess")
        newcomer.page.get_by_role("button", name="Search").click()
        newcomer.page.get_by_role("button", name="Join Chess Club").click()
        expect(newcomer.page.locator("#composer-body")).to_be_visible()
        expect(ada.page.locator("#members-panel")).to_contain_text(newcomer.name)
    bob.wait_until_live()

    ada.write("Shall we play *tonight*?")
    bob.expect_message("Shall we play tonight?")
    bob.write("Yes, at eight.")
    ada.expect_message("Yes, at eight.")

    cleo.page.reload()
    cleo.expect_message("Yes, at eight.")
    cleo.post("May I watch?")
    cleo.expect_message("May I watch?")
    ada.expect_message("May I watch?")
    bob.expect_message("May I watch?")
    ada.write("Of course.")
    ada.write("Bring a **board**.")
    bob.expect_message("Bring a board.")
    cleo.page.reload()
    said = ["Shall we play tonight?", "Yes, at eight.", "May I watch?", "Of course.", "Bring a board."]
    for one in (ada, bob, cleo):
        expect(one.page.locator("#messages > .message")).to_have_count(len(said))
        assert one.bodies() == said
    ada.expect_nothing_pending()

    for one in (ada, bob):
        live = one.markup()
        one.page.reload()
        one.wait_until_live()
        assert one.markup() == live


def test_two_users_chat_live_and_a_third_without_javascript(site: Site, person: Join) -> None:
    hold_conversation(person(site, "ada"), person(site, "bob"), person(site, "cleo", javascript=False))


def test_chatting_with_collected_static_files(person: Join) -> None:
    site = Site()
    site.manage("collectstatic", "--no-input", "--verbosity", "0")
    with site:
        hold_conversation(person(site, "ada"), person(site, "bob"), person(site, "cleo", javascript=False))


def test_chatting_across_two_processes_over_redis_and_postgresql(
    postgres_url: str, redis_url: str, person: Join
) -> None:
    environment = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "SECRET_KEY": "shared by both processes"}
    with Site(environment) as first, Site(environment) as second:
        hold_conversation(person(first, "ada"), person(second, "bob"), person(second, "cleo", javascript=False))


@pytest.mark.parametrize("javascript", [True, False])
def test_signing_in_leads_back_to_the_requested_page(site: Site, person: Join, javascript: bool) -> None:
    name = f"dora{javascript}".lower()
    dora = person(site, name, javascript=javascript).sign_up("/rooms/lobby/")
    dora.page.get_by_role("link", name="Sign out").click()
    dora.page.get_by_role("button", name="Sign Out").click()
    dora.go("/rooms/new/")
    dora.page.get_by_label("User name or e-mail address").fill(name)
    dora.page.get_by_label("Password").fill(PASSWORD)
    dora.page.get_by_role("button", name="Sign in").click()
    expect(dora.page).to_have_url(f"{site.url}/rooms/new/")

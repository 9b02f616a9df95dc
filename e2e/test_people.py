"""Accounts: devices, profile, preferences, invitations, data, closing. Mostly without JavaScript."""

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from e2e.conftest import PASSWORD, Join, Person
from tests.scenes import people
from tests.servers import Site

# The users' addresses, as a proxy would report them: at most 20 may sign up from one in a minute.
addresses = (f"10.0.0.{number}" for number in range(1, 255))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A site behind a proxy. It has an owner, or else the first user to sign up in any test would be that."""
    with Site(environment={"TRUSTED_PROXY_COUNT": "1"}) as site:
        site.populate(users=1, rooms=1)
        site.run(people.make_site_owner, "user0001")
        yield site


@pytest.fixture
def come(site: Site, person: Join) -> Join:
    def make(name: str, *, javascript: bool = False, **options: object) -> Person:
        headers = {"X-Forwarded-For": next(addresses)}
        options |= {"base_url": site.url, "extra_http_headers": headers}
        return person(site, name, javascript=javascript, expected="status of 4", **options)

    return make


def sign_in(one: Person) -> Person:
    one.go("/accounts/login/")
    one.page.get_by_label("User name or e-mail address").fill(one.name)
    one.page.get_by_label("Password").fill(PASSWORD)
    one.page.get_by_role("button", name="Sign in").click()
    expect(one.page.get_by_role("link", name=f"Account ({one.name})")).to_be_visible()
    return one


def confirm_password(page: Page) -> None:
    expect(page.get_by_role("heading", name="Confirm Access")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def test_a_device_signed_out_by_another_loses_its_open_room_within_a_second(come: Join) -> None:
    here = come("ann").sign_up()
    there = sign_in(come("ann", javascript=True))
    page = there.open_room("lobby")
    here.go("/accounts/sessions/")
    here.page.get_by_role("button", name=re.compile("Sign out .* on Linux")).click()
    begin = time.monotonic()
    expect(page.locator("#connection-status")).to_contain_text("signed", timeout=1000)
    assert time.monotonic() - begin < 1
    there.go("/rooms/new/")
    expect(there.page).to_have_url(re.compile("/accounts/login/"))
    here.go("/rooms/new/")
    expect(here.page.get_by_role("heading", name="New room")).to_be_visible()


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def test_others_see_a_users_chosen_name_and_picture(come: Join) -> None:
    bea = come("bea").sign_up("/accounts/profile/")
    bea.page.get_by_label("Name", exact=False).first.fill("Beatrix")
    bea.page.get_by_label("Pronouns").fill("she/her")
    bea.page.get_by_role("button", name="Save").click()
    expect(bea.page.get_by_text("Your profile is saved.")).to_be_visible()
    bea.page.locator("input[type=file]").set_input_files(
        {"name": "x.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"}
    )
    bea.page.get_by_role("button", name="Use this picture").click()
    expect(bea.page.locator(".errorlist")).to_contain_text("cannot be read as a picture")
    bea.page.locator("input[type=file]").set_input_files(
        {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": picture()}
    )
    bea.page.get_by_role("button", name="Use this picture").click()
    expect(bea.page.get_by_text("Your picture is stored.")).to_be_visible()
    bea.go("/rooms/lobby/")
    bea.post("Here I am")

    cyd = come("cyd").sign_up("/rooms/lobby/")
    expect(cyd.page.locator("#messages .author").last).to_have_text("Beatrix")
    shown = cyd.page.locator("#messages img.avatar").last
    assert (
        cyd.context.request.get(cyd.site.url + str(shown.get_attribute("src"))).headers["content-type"] == "image/webp"
    )
    cyd.page.get_by_role("link", name=re.compile("Members")).click()
    cyd.page.get_by_role("link", name="bea").click()
    expect(cyd.page.get_by_role("heading", level=1)).to_have_text("Beatrix")
    expect(cyd.page.get_by_text("she/her")).to_be_visible()


def test_the_old_address_of_a_renamed_user_leads_to_the_new_one(come: Join) -> None:
    dan = come("dan").sign_up("/accounts/profile/")
    dan.page.get_by_role("link", name="Change your user name").click()
    confirm_password(dan.page)
    dan.page.get_by_label("User name").fill("daniel")
    dan.page.get_by_role("button", name="Change").click()
    expect(dan.page.get_by_role("link", name="Account (daniel)")).to_be_visible()
    dan.go("/people/dan/")
    expect(dan.page).to_have_url(re.compile("/people/daniel/"))


def test_preferences_work_without_javascript(come: Join) -> None:
    eve = come("eve").sign_up("/accounts/preferences/")
    paper = "getComputedStyle(document.body).backgroundColor"
    before = eve.page.evaluate(paper)
    size = eve.page.evaluate("getComputedStyle(document.documentElement).fontSize")
    eve.page.get_by_label("Dark").check()
    eve.page.get_by_label("Larger").check()
    eve.page.get_by_role("button", name="Save").click()
    expect(eve.page.get_by_text("Your preferences are saved.")).to_be_visible()
    assert eve.page.evaluate(paper) != before
    assert float(eve.page.evaluate("getComputedStyle(document.documentElement).fontSize")[:-2]) > float(size[:-2])
    eve.go("/rooms/lobby/")
    assert eve.page.evaluate(paper) != before


def test_a_live_message_uses_the_clock_of_the_page(come: Join, site: Site) -> None:
    fay = come("fay", javascript=True).sign_up("/accounts/preferences/")
    fay.page.get_by_label("12 hours").check()
    fay.page.get_by_role("button", name="Save").click()
    fay.go("/accounts/profile/")
    fay.page.get_by_label("Time zone").select_option("Asia/Kolkata")
    fay.page.get_by_role("button", name="Save", exact=True).click()
    page = fay.open_room("lobby")
    gus = come("gus").sign_up("/rooms/lobby/")
    gus.post("What time is it?")
    fay.expect_message("What time is it?")
    time_shown = page.locator("#messages time").last
    expect(time_shown).to_have_text(re.compile(r"\d{1,2}:\d\d [ap]\.m\.$"))
    live = time_shown.inner_text()
    fay.open_room("lobby")
    assert page.locator("#messages time").last.inner_text() == live
    gus.go("/rooms/lobby/")
    assert gus.page.locator("#messages time").last.inner_text() != live


def test_the_enter_key_follows_the_preference(come: Join) -> None:
    hal = come("hal", javascript=True).sign_up("/accounts/preferences/")
    hal.page.get_by_role("radio", name=re.compile("^Makes a new line")).check()
    hal.page.get_by_role("button", name="Save").click()
    page = hal.open_room("lobby")
    expect(page.locator("#composer-hint")).to_have_text("**bold**, *italic*, `code`, > quote. Ctrl and Enter sends")
    box = page.locator("#composer-body")
    box.press_sequentially("one")
    box.press("Enter")
    box.press_sequentially("two")
    expect(box).to_have_value("one\ntwo")
    box.press("Control+Enter")
    expect(page.locator("#messages .body").last).to_have_text(re.compile(r"one\s+two"))


def test_a_sound_plays_for_messages_of_others_in_a_background_room(come: Join) -> None:
    pia = come("pia", javascript=True)
    pia.context.add_init_script(
        "window.tones = 0; const create = AudioContext.prototype.createOscillator;"
        "AudioContext.prototype.createOscillator = function () { window.tones += 1; return create.call(this); };"
    )
    page = pia.sign_up("/accounts/preferences/").page
    page.get_by_label("Play a sound").check()
    page.get_by_role("button", name="Save").click()
    pia.open_room("lobby")
    roy = come("roy").sign_up("/rooms/lobby/")
    page.evaluate("document.hasFocus = () => true")
    roy.post("You are looking")
    pia.expect_message("You are looking")
    assert page.evaluate("window.tones") == 0
    page.evaluate("document.hasFocus = () => false")
    roy.post("You look away")
    pia.expect_message("You look away")
    assert page.evaluate("window.tones") == 1


def test_downloading_your_data(come: Join, tmp_path: Path) -> None:
    ian = come("ian").sign_up("/rooms/lobby/")
    ian.post("Keep this")
    ian.go("/accounts/data/")
    ian.page.get_by_role("button", name="Download your data").click()
    with ian.page.expect_download() as download:
        confirm_password(ian.page)
    download.value.save_as(tmp_path / "data.zip")
    archive = zipfile.ZipFile(tmp_path / "data.zip")
    assert [one["body"] for one in json.loads(archive.read("messages.json"))] == ["Keep this"]
    assert json.loads(archive.read("account.json"))["username"] == "ian"


def test_closing_an_account_removes_its_name_from_open_pages(come: Join) -> None:
    tim = come("tim").sign_up("/rooms/lobby/")
    tim.post("Tim was here")
    uma = come("uma", javascript=True).sign_up()
    page = uma.open_room("lobby")
    message = page.locator("#messages > .message", has_text="Tim was here")
    expect(message.locator("bdi")).to_have_text("tim")
    tim.go("/accounts/delete/")
    confirm_password(tim.page)
    tim.page.get_by_label("Your user name").fill("tim")
    tim.page.get_by_role("button", name="Delete my account").click()
    expect(message.locator("bdi")).to_have_text("Deleted account")


def test_closing_an_account_with_its_messages_removes_them_from_open_pages(come: Join) -> None:
    jan = come("jan").sign_up("/rooms/lobby/")
    for text in ("First of Jan", "Second of Jan", "Third of Jan"):
        jan.post(text)
    kim = come("kim", javascript=True).sign_up()
    page = kim.open_room("lobby")
    kim.expect_message("Third of Jan")
    elsewhere = sign_in(come("jan", javascript=True))
    elsewhere.open_room("lobby")
    jan.go("/accounts/delete/")
    confirm_password(jan.page)
    jan.page.get_by_label("Delete them").check()
    jan.page.get_by_label("Your user name").fill("jan")
    jan.page.get_by_role("button", name="Delete my account").click()
    expect(jan.page.get_by_text("Your account is deleted.")).to_be_visible()
    for text in ("First of Jan", "Second of Jan", "Third of Jan"):
        expect(page.locator("#messages").get_by_text(text)).to_have_count(0)
    expect(page.locator("#messages .deleted")).to_have_count(3)
    live = kim.markup()
    kim.open_room("lobby")
    assert kim.markup() == live
    elsewhere.go("/rooms/new/")
    expect(elsewhere.page).to_have_url(re.compile("/accounts/login/"))


def test_an_invitation_leads_a_new_user_into_a_private_room(come: Join) -> None:
    liv = come("liv").sign_up("/rooms/new/")
    liv.page.get_by_label("Name").fill("Book Club")
    liv.page.get_by_label("Private").check()
    liv.page.get_by_role("button", name="Create the room").click()
    liv.page.get_by_role("link", name=re.compile("Members")).click()
    liv.page.get_by_role("link", name="Invite people by a link").click()
    liv.page.get_by_role("button", name="Make the link").click()
    link = liv.page.get_by_label("Link", exact=True).input_value()

    moe = come("moe")
    moe.page.goto(link)
    expect(moe.page.get_by_text("liv invites you to the room Book Club")).to_be_visible()
    moe.page.get_by_role("button", name="Sign up").click()
    moe.page.get_by_label("Username").fill("moe")
    moe.page.get_by_label("Password").fill(PASSWORD)
    moe.page.get_by_role("button", name="Sign up").click()
    expect(moe.page.get_by_role("heading", level=1)).to_have_text("Book Club")
    moe.post("Thanks for having me")

    late = come("late")
    late.page.goto(link)
    expect(late.page.get_by_role("heading", level=1)).to_have_text("This invitation is not good any more")


def press_until(page: Page, key: str, wanted: str) -> None:
    """Press the key until the focused element's text or label contains this."""
    script = """() => {
        const one = document.activeElement;
        const label = one.labels?.[0]?.textContent ?? one.getAttribute("aria-label") ?? "";
        return `${label} ${one.textContent} ${one.value ?? ""}`.replace(/\\s+/g, " ");
    }"""
    seen = []
    for _ in range(80):
        page.keyboard.press(key)
        seen.append(page.evaluate(script))
        if wanted in seen[-1]:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"the focus on {wanted!r} is not visible"
            return
    raise AssertionError(f"{wanted!r} cannot be reached by keyboard: {seen}")


def follow(page: Page, link: str, heading: str) -> None:
    """Follow a link or press a button by keyboard alone."""
    press_until(page, "Tab", link)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()


def fill(page: Page, label: str, text: str) -> None:
    press_until(page, "Tab", label)
    page.keyboard.type(text)


def test_signing_up_and_setting_up_an_account_needs_no_mouse(come: Join) -> None:
    page = come("nia", javascript=True).go("/")
    follow(page, "Sign up", "Sign up")
    fill(page, "Username", "nia")
    fill(page, "Password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your rooms")).to_be_visible()
    follow(page, "Account", "Your profile")
    fill(page, "Name (optional)", "Nia")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your profile is saved.")).to_be_visible()
    follow(page, "Preferences", "Preferences")
    press_until(page, "Tab", "As the system has it")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    follow(page, "Devices", "Devices")
    follow(page, "Second factor", "Second factor and passkeys")
    follow(page, "Set up an authenticator app", "Confirm Access")
    fill(page, "Password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Authenticator secret")).to_be_visible()
    follow(page, "Your data", "Your data")
    follow(page, "Delete your account", "Delete your account")
    press_until(page, "Tab", "Stay, under the name")
    fill(page, "Your user name", "nia")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your account is deleted.")).to_be_visible()


def test_passwords_and_codes_can_be_pasted(come: Join) -> None:
    page = come("ono", javascript=True, permissions=["clipboard-read", "clipboard-write"]).go("/accounts/login/")
    page.evaluate("navigator.clipboard.writeText('pasted')")
    for label in ("User name or e-mail address", "Password"):
        page.get_by_label(label).press("Control+V")
        expect(page.get_by_label(label)).to_have_value("pasted")

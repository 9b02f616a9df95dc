"""
Every page and state: light, dark and in forced colours, wide and as narrow as a zoom of 400 % makes it, from left to
right and from right to left. axe-core finds nothing and doubts nothing, nothing overflows, nothing is cut off.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from e2e.conftest import Join, Person
from tests.scenes import everything
from tests.servers import Site
from tests.sockets import SOCKET

RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations", "incomplete"],
    # Only the rule for phone orientation needs the style sheets, and preloading adds inline ones for each import.
    "preload": False,
    # Contrast of text: 7 to 1.
    "rules": {"color-contrast-enhanced": {"enabled": True}},
}


# The rules whose result may differ in forced colours.
COLOUR_RULES = {
    "resultTypes": ["violations", "incomplete"],
    "runOnly": {"type": "rule", "values": ["color-contrast", "color-contrast-enhanced", "link-in-text-block"]},
}
AXE = Axe().axe_script


@dataclass(frozen=True)
class Look:
    """How a page is displayed. Each of axe-core's findings depends on one of these only."""

    theme: str
    width: int
    height: int
    forced_colors: str = "none"
    direction: str = "ltr"
    spaced: bool = False


LOOKS = [
    Look("light", 1280, 800),
    Look("dark", 320, 256, direction="rtl", spaced=True),
    Look("light", 1280, 800, forced_colors="active"),
]

# The text spacing of WCAG 2.2, 1.4.12.
SPACING = """
() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    * { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
    p { margin-block-end: 2em !important; }`);
  document.adoptedStyleSheets = [sheet];
}
"""

# Texts cut off by their own box, except what is visually hidden on purpose and what scrolls.
CUT_OFF = """
() => Array.from(document.querySelectorAll("body *:not(input, textarea)")).filter((one) => {
  const style = getComputedStyle(one);
  const isCut = [style.overflowX, style.overflowY].some((way) => way === "hidden" || way === "clip");
  const isSmall = one.clientWidth <= 1 || one.clientHeight <= 1;
  return isCut && !isSmall && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1);
}).map((one) => one.outerHTML.slice(0, 120))
"""

# Main targets less than 44 pixels high.
SMALL_TARGETS = """
() => Array.from(document.querySelectorAll(".button, textarea, select, input"))
  .filter((one) => !["checkbox", "radio", "hidden"].includes(one.type))
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 43.9)
  .map((one) => one.outerHTML.slice(0, 120))
"""

# What axe-core can't decide, by rule and reason, and why there is nothing to fix.
EXPLAINED = {
    # Half behind the header of a scrolled conversation: the same text in the same colours is also checked where it
    # is uncovered, in the same run.
    ("color-contrast", "elmPartiallyObscured"),
    ("color-contrast-enhanced", "elmPartiallyObscured"),
    # A line of several pieces in a dialog: axe-core includes what lies behind the dialog, which differs from piece
    # to piece. (Such lines: a time with its day, for viewers in whose zone it is another day.)
    ("color-contrast", "elmPartiallyObscuring"),
    ("color-contrast-enhanced", "elmPartiallyObscuring"),
    # In forced colours the system paints buttons; axe-core uses the style sheet's colour for their text.
    ("color-contrast", "equalRatio"),
    ("color-contrast-enhanced", "equalRatio"),
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A site that sends mail, and offers signing in with another account."""
    site = Site()
    elsewhere = {f"GITHUB_CLIENT_{part}": "x" for part in ("ID", "SECRET")}
    elsewhere |= {f"OIDC_CLIENT_{part}": "x" for part in ("ID", "SECRET")}
    # Nothing listens there: the page about a provider that is down is one of the states.
    elsewhere |= {"OIDC_SERVER_URL": "http://127.0.0.1:9", "OIDC_NAME": "Example School"}
    (site.folder / "mail").mkdir()
    site.environment |= {"EMAIL_URL": f"filemail:///{site.folder}/mail", **elsewhere}
    with site:
        yield site


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=3, rooms=1, messages=120)


@pytest.fixture(scope="module")
def addresses(site: Site, keys: list[str]) -> everything.Addresses:
    return site.run(everything.people_and_talk)


@dataclass(frozen=True)
class State:
    """A page in a state: its viewer (user number, or None), its path, and what the viewer does first."""

    viewer: int | None
    path: str
    act: Callable[[Page], None] = lambda page: None


def search_for_nothing(page: Page) -> None:
    expect(page.get_by_text("Try a shorter part")).to_be_visible()


def submit_a_bad_room(page: Page) -> None:
    page.get_by_label("Name").fill("Attic")
    page.get_by_role("button", name="Create the room").click()
    expect(page.get_by_text("Another room has this name")).to_be_visible()


def submit_a_bad_sign_up(page: Page) -> None:
    page.get_by_label("Username").fill("user0001")
    page.get_by_label("Email").fill("user0001@example.org")
    page.get_by_label("Password").fill("123")
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator(".errorlist").first).to_be_visible()


def submit_a_bad_sign_in(page: Page) -> None:
    page.get_by_label("User name or e-mail address").fill("user0001")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".errorlist").first).to_be_visible()


def open_the_dialog(page: Page) -> None:
    page.locator("#messages .meta a").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_text("Delete this message").click()


def be_refused(page: Page) -> None:
    page.locator("#composer-body").evaluate("box => box.dataset.most = 99999")
    page.locator("#composer-body").fill("a" * 10_001)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#composer-errors .error")).to_be_visible()
    page.locator("#composer-body").fill("a")


def send_a_stale_form(page: Page) -> None:
    page.get_by_label("Name").fill("A room that was not made")
    page.locator("main [name=csrfmiddlewaretoken]").evaluate("field => field.value = 'a'.repeat(32)")
    page.get_by_role("button", name="Create the room").click()
    expect(page.get_by_role("heading", name="This form is no longer valid")).to_be_visible()


def write_while_signed_out(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")
    page.get_by_label("Name").fill("A room that was not made")
    page.get_by_role("button", name="Create the room").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()


def save_without_an_answer(page: Page) -> None:
    open_the_dialog(page)
    page.route(re.compile("/edit/$"), lambda route: route.abort())
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()


def open_the_dialog_without_an_answer(page: Page) -> None:
    page.route(re.compile(r"/messages/\d+/$"), lambda route: route.fulfill(status=502, body="x"))
    page.locator("#messages .meta a").first.click()
    expect(page.locator("#refusal").get_by_role("alert")).to_be_visible()


def lose_the_composer(page: Page) -> None:
    page.locator("#composer-body").fill("Half a text")
    notice = '<div class="notice" id="farewell"><p>You are out.</p></div>'
    frame = f'<hx-partial hx-target="#composer-region" hx-swap="innerHTML">{notice}</hx-partial>'
    swap = "text => htmx.swap({sourceElement: document.querySelector('.live'), swap: 'none', text})"
    page.evaluate(swap, frame)
    expect(page.get_by_label("This was not sent.")).to_be_visible()


def open_a_members_menu(page: Page) -> None:
    page.get_by_text("Change user0002").click()


def lose_the_connection(page: Page) -> None:
    page.context.set_offline(True)
    page.evaluate(f"{SOCKET}.close()")
    expect(page.locator("#connection-status")).to_be_visible(timeout=20_000)


def confirm_password(page: Page) -> None:
    """Confirm the password if asked: once is enough for a while."""
    if page.get_by_role("heading", name="Confirm Access").count():
        page.get_by_label("Password").fill("parley-demo")
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("heading", name="Confirm Access")).to_have_count(0)


def choose_a_bad_name(page: Page) -> None:
    confirm_password(page)
    page.get_by_label("User name").fill("no name")
    page.get_by_role("button", name="Change").click()
    expect(page.locator(".errorlist")).to_be_visible()


def mistype_the_user_name(page: Page) -> None:
    confirm_password(page)
    page.get_by_label("Who owns the site after you").fill("nobody")
    page.get_by_label("Your user name").fill("somebody")
    page.get_by_role("button", name="Delete my account").click()
    expect(page.locator(".errorlist").first).to_be_visible()


def press(name: str) -> Callable[[Page], None]:
    """Press a button and wait for the page it leads to."""

    def act(page: Page) -> None:
        with page.expect_navigation():
            page.get_by_role("button", name=name).first.click()

    return act


def sign_up_with_mail(page: Page) -> None:
    page.get_by_label("Username").fill(f"mail{int(time.time())}")
    page.get_by_label("Email").fill(f"mail{int(time.time())}@example.org")
    page.get_by_label("Password").fill("correct horse battery 9")
    page.get_by_role("button", name="Sign up").click()
    page.get_by_label("Code").fill("WRONG")
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".errorlist")).to_be_visible()


def send_a_bad_picture(page: Page) -> None:
    page.locator("input[type=file]").set_input_files({"name": "x", "mimeType": "image/png", "buffer": b"x"})
    page.get_by_role("button", name="Use this picture").click()
    expect(page.locator(".errorlist")).to_be_visible()


def open_the_keys(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def open_the_panel(page: Page) -> None:
    page.get_by_role("link", name="Announcements").click()
    expect(page.locator("#announced")).to_be_visible()


def send_nothing(page: Page) -> None:
    page.get_by_label("Message to").fill("  ")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Write something first.")).to_be_visible()


def try_too_often(page: Page) -> None:
    for number in range(22):
        page.goto("/accounts/password/reset/")
        page.get_by_label("Email").fill(f"often{number}@example.org")
        with page.expect_navigation():
            page.get_by_role("button").first.click()
        if page.get_by_role("heading", name="Please wait a little").count():
            return
    raise AssertionError("the number of attempts is not limited")


STATES = {
    "welcome": State(None, "/"),
    "sign up": State(None, "/accounts/signup/"),
    "sign up, bad": State(None, "/accounts/signup/", submit_a_bad_sign_up),
    "sign in": State(None, "/accounts/login/"),
    "sign in, bad": State(None, "/accounts/login/", submit_a_bad_sign_in),
    "reset a password": State(None, "/accounts/password/reset/"),
    "a reset that was sent": State(None, "/accounts/password/reset/done/"),
    "not found": State(None, "/nowhere/"),
    "rooms for a stranger": State(None, "/rooms/"),
    "a public room for a stranger": State(None, "/rooms/attic/"),
    "home": State(1, "/"),
    "home, invited": State(3, "/"),
    "sign out": State(1, "/accounts/logout/"),
    "change the password": State(3, "/accounts/password/change/"),
    "e-mail addresses": State(3, "/accounts/email/"),
    "rooms": State(1, "/rooms/"),
    "no room found": State(1, "/rooms/?q=zzz", search_for_nothing),
    "new room": State(1, "/rooms/new/"),
    "new room, bad": State(1, "/rooms/new/", submit_a_bad_room),
    "a room": State(1, "/rooms/attic/"),
    "a room, refused": State(1, "/rooms/attic/", be_refused),
    "a room, not live": State(1, "/rooms/attic/", lose_the_connection),
    "a room, an edit unanswered": State(1, "/rooms/attic/", save_without_an_answer),
    "a room, a dialog unanswered": State(1, "/rooms/attic/", open_the_dialog_without_an_answer),
    "a room, its composer gone": State(1, "/rooms/attic/", lose_the_composer),
    "a form with a stale token": State(1, "/rooms/new/", send_a_stale_form),
    "a form after signing out": State(1, "/rooms/new/", write_while_signed_out),
    "an empty room": State(1, "/rooms/empty/"),
    "an archived room": State(1, "/rooms/archived/"),
    "a room to join": State(3, "/rooms/attic/"),
    "a long room": State(1, "/rooms/room-001/"),
    "its past": State(1, "/rooms/room-001/?after=0"),
    "a message's dialog": State(1, "/rooms/attic/", open_the_dialog),
    "a message's page": State(1, "/rooms/attic/messages/1/"),
    "members": State(1, "/rooms/attic/members/", open_a_members_menu),
    "settings": State(1, "/rooms/attic/settings/"),
    "sign up, code asked": State(None, "/accounts/signup/", sign_up_with_mail),
    "a code instead of a password": State(None, "/accounts/login/code/"),
    "a provider that is down": State(None, "/accounts/login/", press("Continue with Example School")),
    "a refused sign-in from elsewhere": State(None, "/accounts/3rdparty/login/cancelled/"),
    "too many tries": State(None, "/accounts/password/reset/", try_too_often),
    "an invitation for a stranger": State(None, "/invitations/ROOM/"),
    "an invitation to a room": State(2, "/invitations/ROOM/"),
    "an invitation that is over": State(None, "/invitations/made-up/"),
    "invitations": State(1, "/invitations/", press("Make the link")),
    "invitations to a room": State(1, "/rooms/attic/invitations/"),
    "profile": State(1, "/accounts/profile/"),
    "profile, bad picture": State(1, "/accounts/profile/", send_a_bad_picture),
    "preferences": State(1, "/accounts/preferences/"),
    "user name": State(3, "/accounts/username/", choose_a_bad_name),
    "password asked again": State(3, "/accounts/username/"),
    "addresses, several": State(3, "/accounts/email/"),
    "accounts elsewhere": State(1, "/accounts/3rdparty/"),
    "second factor": State(2, "/accounts/2fa/"),
    "an authenticator app": State(2, "/accounts/2fa/totp/activate/", confirm_password),
    "add a passkey": State(2, "/accounts/2fa/webauthn/add/", confirm_password),
    "passkeys": State(2, "/accounts/2fa/webauthn/"),
    "devices": State(2, "/accounts/sessions/"),
    "data": State(1, "/accounts/data/"),
    "delete the account": State(1, "/accounts/delete/", mistype_the_user_name),
    "the site": State(1, "/site/"),
    "closing an account": State(1, "/site/people/user0002/close/"),
    "a user": State(2, "/people/user0001/"),
    "keys": State(None, "/keys/"),
    "keys in a room": State(1, "/rooms/attic/", open_the_keys),
    "the statement": State(None, "/accessibility/"),
    "announcements": State(1, "/rooms/attic/announcements/"),
    "the panel of announcements": State(1, "/rooms/attic/", open_the_panel),
    "a room with unread messages": State(2, "/rooms/attic/"),
    "the composer in a frame": State(1, "/rooms/attic/composer/"),
    "a refusal in the frame": State(1, "/rooms/attic/composer/", send_nothing),
}


@pytest.fixture
def viewer(site: Site, keys: list[str], addresses: everything.Addresses, person: Join) -> Callable[[State], Person]:
    def come(state: State) -> Person:
        one = person(
            site,
            "viewer",
            expected="status of (4|502)|htmx:(ws:)?error|WebSocket|ERR_INTERNET|ERR_FAILED",
            base_url=site.url,
        )
        if state.viewer:
            one.use_session(keys[state.viewer - 1])
        path = state.path.replace("/messages/1/", f"/messages/{addresses['first_message']}/")
        one.go(path.replace("ROOM", addresses["invitation"]))
        if one.page.locator("[hx-ws\\:connect]").count():
            one.wait_until_live()
        state.act(one.page)
        return one

    return come


@dataclass
class Findings:
    """What was found in one state of a page."""

    violations: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    sticking_out: list[str] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)
    small_targets: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)


# Data for scripts is not code: browsers never run it.
INLINE = re.compile(
    r"<script(?![^>]*\ssrc=)(?![^>]*\stype=\"application/json\")[^>]*>|<style[\s>]|\sstyle=|\son[a-z]+=|javascript:",
    re.IGNORECASE,
)


def look_at(page: Page) -> Findings:
    """Check a page in every look."""
    found = Findings(inline=INLINE.findall(page.content()))
    page.evaluate(AXE)
    for look in LOOKS:
        page.set_viewport_size({"width": look.width, "height": look.height})
        page.emulate_media(
            color_scheme=look.theme,  # type: ignore[arg-type]
            forced_colors=look.forced_colors,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        page.evaluate("direction => { document.documentElement.dir = direction; }", look.direction)
        page.evaluate(SPACING if look.spaced else "() => { document.adoptedStyleSheets = []; }")
        rules = RULES if look.forced_colors == "none" else COLOUR_RULES
        response = page.evaluate("rules => axe.run(rules)", rules)
        found.violations += [described(one, look) for one in response["violations"]]
        found.doubts += [described(one, look) for one in response["incomplete"] if not is_explained(one)]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            found.sticking_out.append(f"{look}: the page is {wider} px wider than the window")
        found.cut_off += [f"{look}: {one}" for one in page.evaluate(CUT_OFF)]
        found.small_targets += [f"{look}: {one}" for one in page.evaluate(SMALL_TARGETS)]
    return found


def is_explained(doubt: dict[str, Any]) -> bool:
    """Whether it is known for every element why axe-core can't decide."""
    checks = [check for node in doubt["nodes"] for check in node["any"] + node["all"]]
    return bool(checks) and all((doubt["id"], (check["data"] or {}).get("messageKey")) in EXPLAINED for check in checks)


def described(finding: dict[str, Any], look: Look) -> str:
    """What axe-core found, and where."""
    nodes = [node["html"][:200] for node in finding["nodes"][:3]]
    return f"{look}: {finding['id']}: {finding['help']}: {nodes}"


@pytest.mark.parametrize("name", STATES)
def test_a_page_is_accessible_fits_its_window_and_has_no_inline_code(
    viewer: Callable[[State], Person], name: str
) -> None:
    assert look_at(viewer(STATES[name]).page) == Findings()


def test_the_pattern_for_inline_code_finds_each_kind() -> None:
    for html in ("<script>x</script>", '<p style="a">', '<a onclick="x">', "<style>a</style>"):
        assert INLINE.search(html)
    assert not INLINE.search('<script defer src="/a.js"></script><p class="once">')

"""Every page and state, light and dark, wide and narrow: nothing for axe-core to find, nothing that sticks out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from e2e.conftest import REFUSED, Person, type_of_join
from tests.servers import Site

RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}
SIZES = [(1280, 800), (360, 640)]
THEMES = ["light", "dark"]

PEOPLE_AND_TALK = """
import uuid
from apps.chat import services as chat
from apps.rooms import services as rooms
one, two = User.objects.filter(username__in=["user0001", "user0002"]).order_by("username")
room = rooms.create_room(owner=one, name="Attic", topic="Under the roof", access="public")
rooms.add_member(room=room, user=two)
say = lambda who, body: chat.post_message(room=room, author=who, body=body, client_id=uuid.uuid4())
say(one, "Hello **all**, see https://example.org and `code`.")
say(one, "- one\\n- two\\n\\n> quoted\\n\\n1. first")
say(two, "```python\\nclass A(B):\\n    # why\\n    x: int = 0x1F + 2.5\\n    def f(self): return 'text'\\n```")
say(two, "```html\\n<p class='a'>&amp;</p>\\n```")
chat.edit_message(message=say(one, "Wrnog"), body="Right")
chat.delete_message(message=say(two, "Gone"), deleter=two)
say(one, "Longwordwithoutanyspace" * 20)
empty = rooms.create_room(owner=one, name="Empty", topic="", access="open")
archived = rooms.create_room(owner=one, name="Archived", topic="", access="open")
rooms.set_archived(room=archived, archived=True)
"""


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    keys = site.populate(users=3, rooms=1, messages=120)
    site.shell("from apps.accounts.models import User" + PEOPLE_AND_TALK)
    return keys


@dataclass(frozen=True)
class State:
    """A page in a state: who looks (user number, or None), where, and what they do first."""

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
    page.locator("#composer-body").evaluate("box => box.removeAttribute('maxlength')")
    page.locator("#composer-body").fill("a" * 10_001)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#composer-errors .error")).to_be_visible()
    page.locator("#composer-body").fill("a")


def open_a_members_menu(page: Page) -> None:
    page.get_by_text("Change user0002").click()


def lose_the_connection(page: Page) -> None:
    page.context.set_offline(True)
    page.evaluate("document.querySelector('.live')._htmx.ws.connection.socket.close()")
    expect(page.locator("#connection-status")).to_be_visible(timeout=20_000)


STATES = {
    "welcome": State(None, "/"),
    "sign up": State(None, "/accounts/signup/"),
    "sign up, bad": State(None, "/accounts/signup/", submit_a_bad_sign_up),
    "sign in": State(None, "/accounts/login/"),
    "sign in, bad": State(None, "/accounts/login/", submit_a_bad_sign_in),
    "reset a password": State(None, "/accounts/password/reset/"),
    "a reset that was sent": State(None, "/accounts/password/reset/done/"),
    "nothing there": State(None, "/nowhere/"),
    "rooms for a stranger": State(None, "/rooms/"),
    "a public room for a stranger": State(None, "/rooms/attic/"),
    "home": State(1, "/"),
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
    "an empty room": State(1, "/rooms/empty/"),
    "an archived room": State(1, "/rooms/archived/"),
    "a room to join": State(3, "/rooms/attic/"),
    "a long room": State(1, "/rooms/room-001/"),
    "its past": State(1, "/rooms/room-001/?after=0"),
    "a message's dialog": State(1, "/rooms/attic/", open_the_dialog),
    "a message's page": State(1, "/rooms/attic/messages/1/"),
    "members": State(1, "/rooms/attic/members/", open_a_members_menu),
    "settings": State(1, "/rooms/attic/settings/"),
}


@pytest.fixture
def viewer(site: Site, keys: list[str], person: type_of_join) -> Callable[[State], Person]:
    def come(state: State) -> Person:
        one = person(site, "viewer", expected=f"{REFUSED}|status of 404|htmx:ws:error|WebSocket")
        if state.viewer:
            one.use_session(keys[state.viewer - 1])
        one.go(state.path.replace("/messages/1/", f"/messages/{first_message(site)}/"))
        if one.page.locator("[hx-ws\\:connect]").count():
            one.wait_until_live()
        state.act(one.page)
        return one

    return come


def first_message(site: Site) -> int:
    """The permalink's number of the first message that was said in the attic."""
    return int(
        site.shell("from apps.chat.models import *; print(Message.objects.filter(room__slug='attic').first().pk)")
    )


@dataclass
class Findings:
    """What was found in one state of a page."""

    violations: list[str] = field(default_factory=list)
    sticking_out: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)


# Data that a script reads is no code: browsers never run it.
INLINE = re.compile(
    r"<script(?![^>]*\ssrc=)(?![^>]*\stype=\"application/json\")[^>]*>|<style[\s>]|\sstyle=|\son[a-z]+=|javascript:",
    re.IGNORECASE,
)


def look_at(page: Page) -> Findings:
    """Look at a page in every size and theme."""
    found = Findings(inline=INLINE.findall(page.content()))
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            for violation in Axe().run(page, options=RULES).response["violations"]:
                nodes = [node["html"][:200] for node in violation["nodes"][:3]]
                found.violations.append(f"{theme} {width}: {violation['id']}: {violation['help']}: {nodes}")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            found.sticking_out.append(f"{width}: the page is {wider} px wider than the window")
    return found


@pytest.mark.parametrize("name", STATES)
def test_a_page_is_accessible_fits_its_window_and_has_no_inline_code(
    viewer: Callable[[State], Person], name: str
) -> None:
    assert look_at(viewer(STATES[name]).page) == Findings()


def test_the_pattern_for_inline_code_would_find_some() -> None:
    for html in ("<script>x</script>", '<p style="a">', '<a onclick="x">', "<style>a</style>"):
        assert INLINE.search(html)
    assert not INLINE.search('<script defer src="/a.js"></script><p class="once">')

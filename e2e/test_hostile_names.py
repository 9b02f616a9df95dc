"""Names and texts that contain markup do nothing in a browser that would execute it."""

import pytest
from playwright.sync_api import Dialog, Page, Request, expect

from e2e.conftest import Join, Person
from tests.scenes import hostile
from tests.servers import Site

# Whatever is executed sets `acted`, requests a path under /acted, or is an element with the attribute `marked`.
HOSTILE = (
    '"><img src=/acted onerror=acted=1 marked>'
    "</script><script marked>acted=1</script>"
    "<button formaction=/acted formnovalidate marked>OK</button>"
    '<hx-partial hx-target="#messages" hx-swap=innerHTML marked></hx-partial>'
    "<a href=javascript:acted=1 hx-get=/acted hx-trigger=load marked>x</a>"
    "<template for=status marked>x</template>{{7*7}}"
)
# Short enough for any field, each in a different way.
SHORT = [
    "<b id=messages marked>",
    '"><img marked src=/acted>',
    "<b hx-get=/acted marked>",
    "<b onclick=acted=1 marked>",
]


@pytest.fixture(scope="module")
def keys(site: Site) -> list[str]:
    return site.populate(users=3, rooms=1)


@pytest.fixture(scope="module")
def addresses(site: Site, keys: list[str]) -> hostile.Addresses:
    return site.run(hostile.people_and_talk, HOSTILE, SHORT)


def watch(one: Person) -> list[str]:
    """A list of what is executed: dialogs and requests; what the security policy blocks is counted in the page."""
    acted: list[str] = []

    def ask(request: Request) -> None:
        if "/acted" in request.url:
            acted.append(f"asked for {request.url}")

    def close(dialog: Dialog) -> None:
        acted.append(f"dialog {dialog.message}")
        dialog.dismiss()

    one.page.on("request", ask)
    one.page.on("dialog", close)
    one.page.add_init_script(
        "document.addEventListener('securitypolicyviolation', (event) =>"
        " { window.violations = (window.violations ?? 0) + 1; });"
    )
    return acted


def marks_of(page: Page) -> list[str]:
    """The elements that come from a hostile text, and what has been executed."""
    found: list[str] = page.evaluate(
        """() => {
          const inside = (root) => Array.from(root.querySelectorAll("*"), (one) =>
            [one, ...(one instanceof HTMLTemplateElement ? inside(one.content) : [])]).flat();
          const marked = inside(document).filter((one) => one.hasAttribute("marked")).map((one) => one.outerHTML);
          const ids = Array.from(document.querySelectorAll("[id]"), (one) => one.id);
          const twice = ids.filter((id, place) => ids.indexOf(id) !== place).map((id) => `two of #${id}`);
          const acted = window.acted ? ["acted"] : [];
          return [...marked, ...twice, ...acted, ...(window.violations ? [`${window.violations} violations`] : [])];
        }"""
    )
    return found


def pages_of(addresses: hostile.Addresses) -> list[str]:
    """Every page that shows a text of a user."""
    room = f"/rooms/{addresses['room']}/"
    return [
        *(
            "/",
            "/rooms/",
            "/rooms/?q=%3Cb%20marked%3E",
            "/rooms/new/",
            "/invitations/",
            "/site/",
            "/site/?q=%3Cb%20marked%3E",
        ),
        *(
            room,
            f"{room}settings/",
            f"{room}members/",
            f"{room}invitations/",
            f"{room}announcements/",
            f"{room}composer/",
        ),
        *(f"{room}messages/{addresses['message']}/", f"/invitations/{addresses['invitation']}/"),
        *("/accounts/profile/", "/accounts/preferences/", "/accounts/sessions/", "/accounts/data/", "/accounts/email/"),
        *("/accounts/2fa/", "/accounts/3rdparty/", "/accounts/logout/", "/accounts/delete/", "/accounts/username/"),
        *("/admin/", "/admin/accounts/user/", f"/admin/accounts/user/{addresses['user']}/change/"),
        f"/people/{addresses['username']}/",
        "/rooms/attic%22%3E%3Cb%20marked%3E/",
    ]


def test_hostile_texts_do_nothing_on_any_page_of_the_site_owner(
    site: Site, keys: list[str], addresses: hostile.Addresses, person: Join
) -> None:
    owner = person(site, "owner", expected="status of 40[34]").use_session(keys[0])
    acted = watch(owner)
    # So that pages that ask for the password again are shown.
    owner.go("/accounts/reauthenticate/?next=/accounts/username/")
    owner.page.get_by_label("Password").fill("parley-demo")
    owner.page.locator("main form button").first.click()
    expect(owner.page).to_have_url(f"{site.url}/accounts/username/")
    shown = 0
    for path in pages_of(addresses):
        page = owner.go(path)
        assert (path, marks_of(page), acted) == (path, [], [])
        shown += page.content().count("&lt;")
        for link in page.locator("#messages .meta a").all()[:1]:
            # The dialog, which a script inserts.
            owner.wait_until_live()
            link.click()
            expect(page.get_by_role("dialog")).to_be_visible()
            assert (path, marks_of(page), acted) == (path, [], [])
    # They were there, as text.
    assert shown > 100


@pytest.mark.parametrize("javascript", [True, False])
def test_hostile_texts_that_arrive_live_do_nothing(
    site: Site, keys: list[str], addresses: hostile.Addresses, person: Join, javascript: bool
) -> None:
    slug = addresses["room"]
    reader = person(site, "reader", javascript=javascript, expected="ERR_|status of 4").use_session(keys[0])
    acted = watch(reader)
    if javascript:
        reader.open_room(slug)
    else:
        reader.page.goto(f"{site.url}/rooms/{slug}/live/", wait_until="commit")
        expect(reader.page.locator("#messages .message").first).to_be_visible()
    writer = person(site, "writer").use_session(keys[1])
    writer.open_room(slug)
    before = reader.page.locator("#messages .message").count()
    for number, short in enumerate(SHORT):
        writer.write(f"{short}{HOSTILE}{number}")
        writer.expect_nothing_pending()
    expect(reader.page.locator("#messages .message")).to_have_count(before + len(SHORT))
    # The room's owner renames it, and a user joins.
    renamer = person(site, "renamer").use_session(keys[0])
    renamer.go(f"/rooms/{slug}/settings/")
    name = f"{SHORT[1]}{javascript}"
    renamer.page.locator("#id_name").fill(name)
    renamer.page.get_by_role("button", name="Save").first.click()
    slug = addresses["room"] = renamer.page.url.rstrip("/").rpartition("/")[2]
    if javascript:
        expect(reader.page.locator("#room-name")).to_have_text(name)
    newcomer = person(site, "newcomer").use_session(keys[2])
    newcomer.go(f"/rooms/{slug}/")
    if newcomer.page.get_by_role("button", name="Join").count():
        newcomer.page.get_by_role("button", name="Join").first.click()
    # Both runs use the same room, so each has a last message of its own.
    end = f"The end {javascript}"
    writer.write(end)
    expect(reader.page.locator("#messages").get_by_text(end)).to_have_count(1)
    assert acted == []
    assert reader.page.locator("[marked]").count() == 0
    if javascript:
        assert marks_of(reader.page) == []

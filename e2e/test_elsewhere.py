"""Signing in with another account: a real OpenID Connect provider in a process of its own."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import PASSWORD, Join, Person
from tests.provider.__main__ import PASSWORD as PROVIDER_PASSWORD
from tests.scenes import people
from tests.servers import Provider, Site

CALLBACK = "/accounts/oidc/oidc/login/callback/"
# The provider has no icon; the site answers 401 and 409 with pages that say why.
EXPECTED = "status of 4"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    with Provider(site.url + CALLBACK) as provider:
        site.environment |= provider.settings()
        for name in ("GITHUB", "GOOGLE"):
            site.environment |= {f"{name}_CLIENT_ID": "our-id", f"{name}_CLIENT_SECRET": "our-secret"}
        site.provider = provider
        with site:
            yield site


@pytest.fixture
def provider(site: Site) -> Provider:
    assert site.provider
    return site.provider


@pytest.fixture
def come(site: Site, person: Join) -> Join:
    def make(name: str, *, javascript: bool = False) -> Person:
        return person(site, name, javascript=javascript, expected=EXPECTED, base_url=site.url)

    return make


def go_there(page: Page, path: str, button: str = "Continue with") -> None:
    """Go from a page of the site to the provider."""
    page.goto(path)
    page.get_by_role("button", name=f"{button} {Provider.name}").click()


def sign_in_there(page: Page, name: str) -> None:
    """Sign in at the provider, unless that browser is signed in."""
    expect(page.get_by_role("button", name=re.compile("Sign In|Authorize"))).to_be_visible()
    if page.get_by_label("Username").count():
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(PROVIDER_PASSWORD)
        page.get_by_role("button", name="Sign In").click()
    expect(page.get_by_role("button", name="Authorize")).to_be_visible()


def answer(page: Page, name: str, button: str = "Authorize") -> None:
    """Answer the provider's question whether this site may know the user."""
    sign_in_there(page, name)
    page.get_by_role("button", name=button).click()


def sign_up_from_elsewhere(one: Person, name: str, path: str = "/accounts/signup/") -> None:
    go_there(one.page, path)
    answer(one.page, name)
    expect(one.page.get_by_role("heading", name=f"Sign up with {Provider.name}")).to_be_visible()
    one.page.get_by_role("button", name="Sign up").click()
    expect(one.page.get_by_role("heading", name="Your rooms")).to_be_visible()


def sign_out(one: Person) -> None:
    one.page.goto("/accounts/logout/")
    one.page.get_by_role("button", name="Sign out").click()
    expect(one.page.get_by_role("link", name="Sign in").first).to_be_visible()


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


@pytest.mark.parametrize(("name", "javascript"), [("carol", True), ("erin", False)])
def test_signing_up_signing_out_and_signing_in_again(site: Site, come: Join, name: str, javascript: bool) -> None:
    one = come(name, javascript=javascript)
    sign_up_from_elsewhere(one, name)
    expect(one.page.get_by_role("link", name=f"Account ({name})")).to_be_visible()
    sign_out(one)
    go_there(one.page, "/accounts/login/?next=/rooms/lobby/")
    answer(one.page, name)
    expect(one.page).to_have_url(f"{site.url}/rooms/lobby/")
    assert site.run(people.count_named, name) == 1


def test_connecting_and_disconnecting_an_account_elsewhere(site: Site, come: Join) -> None:
    gina = come("gina").sign_up()
    go_there(gina.page, "/accounts/3rdparty/", "Connect")
    answer(gina.page, "frank")
    confirm_password(gina.page)
    expect(gina.page.get_by_role("button", name=f"Disconnect {Provider.name}")).to_be_visible()
    sign_out(gina)
    go_there(gina.page, "/accounts/login/")
    answer(gina.page, "frank")
    expect(gina.page.get_by_role("link", name="Account (gina)")).to_be_visible()
    gina.page.goto("/accounts/3rdparty/")
    gina.page.get_by_role("button", name=f"Disconnect {Provider.name}").click()
    confirm_password(gina.page)
    expect(gina.page.get_by_text("None is connected to your account yet.")).to_be_visible()
    assert site.run(people.count_accounts_elsewhere, "gina") == 0


def confirm_password(page: Page) -> None:
    """Confirm the password if the site asks."""
    if "/reauthenticate/" in page.url:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()


def test_the_only_way_to_sign_in_cannot_be_disconnected(come: Join) -> None:
    carol = come("carol")
    go_there(carol.page, "/accounts/login/")
    answer(carol.page, "carol")
    carol.page.goto("/accounts/3rdparty/")
    carol.page.get_by_role("button", name=f"Disconnect {Provider.name}").click()
    expect(carol.page.locator(".errorlist")).to_contain_text("password")


def test_an_account_elsewhere_connects_to_one_account_only(site: Site, come: Join) -> None:
    hugo = come("hugo").sign_up()
    go_there(hugo.page, "/accounts/3rdparty/", "Connect")
    answer(hugo.page, "carol")
    confirm_password(hugo.page)
    expect(hugo.page.locator(".notices")).to_contain_text("different account")
    assert site.run(people.count_accounts_elsewhere, "hugo") == 0


def test_cancelling_at_the_provider_leads_to_a_page_that_says_so(come: Join) -> None:
    one = come("dave")
    go_there(one.page, "/accounts/login/")
    answer(one.page, "dave", "Cancel")
    expect(one.page.get_by_role("heading", level=1)).to_have_text("Signing in was cancelled")
    one.page.get_by_role("link", name="Try again").click()
    expect(one.page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize("query", ["code=x&state=made-up", "code=x", "", "error=server_error&state=made-up"])
def test_an_answer_without_a_request_is_refused(come: Join, query: str) -> None:
    one = come("mallory")
    answered = one.page.goto(f"{CALLBACK}?{query}")
    assert answered
    assert answered.status == 401
    assert heading(one.page) == f"Signing in with {Provider.name} did not work"


def stolen_answer(one: Person, name: str) -> str:
    """The provider's response for one browser, which never gets it."""
    go_there(one.page, "/accounts/login/")
    sign_in_there(one.page, name)
    fields = {
        field: one.page.locator(f"form [name={field}]").first.input_value()
        for field in ("csrfmiddlewaretoken", "request")
    }
    scopes = {"scopes": "openid", "action": "grant"}
    address = one.page.url.partition("?")[0]
    answered = one.context.request.post(
        address, form={**fields, **scopes}, max_redirects=0, headers={"Referer": one.page.url}
    )
    assert answered.status == 302, answered.text()
    return answered.headers["location"]


def test_an_answer_for_another_browser_is_refused(come: Join) -> None:
    carol, mallory = come("carol"), come("mallory")
    url = stolen_answer(carol, "carol")
    mallory.page.goto(url)
    assert heading(mallory.page) == f"Signing in with {Provider.name} did not work"
    mallory.page.goto("/accounts/profile/")
    expect(mallory.page).to_have_url(re.compile("/accounts/login/"))


def test_a_stolen_code_is_useless_with_the_thiefs_own_state(site: Site, come: Join) -> None:
    carol, mallory = come("carol"), come("mallory")
    code = parse_qs(urlsplit(stolen_answer(carol, "carol")).query)["code"][0]
    own = parse_qs(urlsplit(stolen_answer(mallory, "dave")).query)["state"][0]
    mallory.page.goto(f"{CALLBACK}?code={code}&state={own}")
    assert heading(mallory.page) == f"Signing in with {Provider.name} did not work"


def test_an_address_of_an_existing_account_does_not_sign_in_to_it(site: Site, come: Join) -> None:
    come("ivy").sign_up()
    site.run(people.add_address, "ivy", "dave@example.org")
    dave = come("dave")
    go_there(dave.page, "/accounts/login/")
    answer(dave.page, "dave")
    expect(dave.page.get_by_role("heading", level=1)).to_have_text("You seem to have an account here already")
    dave.page.goto("/accounts/profile/")
    expect(dave.page).to_have_url(re.compile("/accounts/login/"))
    assert site.run(people.count_accounts_that_mention, "dave") == 0


def test_a_provider_that_is_down_is_reported(provider: Provider, come: Join) -> None:
    one = come("carol")
    provider.stop()
    try:
        go_there(one.page, "/accounts/login/")
        assert heading(one.page) == f"Signing in with {Provider.name} did not work"
        one.page.get_by_role("link", name="Try again").click()
        expect(one.page.get_by_role("heading", level=1)).to_have_text("Sign in")
    finally:
        provider.start()


def test_only_pages_with_a_providers_button_may_lead_to_it(provider: Provider, come: Join) -> None:
    one = come("carol")
    origin = provider.url
    policies = {}
    for path in ("/accounts/login/", "/accounts/signup/", "/", "/accounts/password/reset/"):
        answered = one.page.goto(path)
        assert answered
        policies[path] = origin in answered.headers["content-security-policy"]
    assert policies == {
        "/accounts/login/": True,
        "/accounts/signup/": True,
        "/": False,
        "/accounts/password/reset/": False,
    }


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("Google", "https://accounts.google.com/o/oauth2/v2/auth"),
        ("GitHub", "https://github.com/login/oauth/authorize"),
    ],
)
def test_google_and_github_are_asked_with_state_and_challenge(come: Join, name: str, there: str) -> None:
    one = come("carol")
    one.page.goto("/accounts/login/")
    form = one.page.locator("form", has=one.page.get_by_role("button", name=f"Continue with {name}"))
    token = form.locator("[name=csrfmiddlewaretoken]").input_value()
    answered = one.context.request.post(
        str(form.get_attribute("action")), form={"csrfmiddlewaretoken": token}, max_redirects=0
    )
    address, _, query = answered.headers["location"].partition("?")
    asked = parse_qs(query)
    assert (answered.status, address) == (302, there)
    assert (asked["client_id"], asked["code_challenge_method"]) == (["our-id"], ["S256"])
    assert len(asked["state"][0]) >= 16


def test_going_to_a_provider_requires_a_button(come: Join) -> None:
    one = come("carol")
    for path in ("/accounts/oidc/oidc/login/", "/accounts/github/login/"):
        answered = one.page.goto(path)
        assert answered
        assert answered.status == 200, "a page with a button, and no redirect"
        expect(one.page.get_by_role("button", name="Continue")).to_be_visible()

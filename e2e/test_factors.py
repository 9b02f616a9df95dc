"""Second factors and passkeys: Chromium's virtual authenticator, codes of an app, recovery codes."""

import re
import time
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import CDPSession, Page, expect

from e2e.conftest import PASSWORD, Join, Person
from tests.servers import Site

SECONDS = 30  # for which an app shows a code


@pytest.fixture
def come(site: Site, person: Join) -> Join:
    def make(name: str, *, javascript: bool = False) -> Person:
        # Browsers create passkeys for localhost, but not for 127.0.0.1.
        address = f"http://localhost:{site.port}"
        return person(site, name, javascript=javascript, expected="status of 4", base_url=address)

    return make


def code_of(secret: str, *, ahead: int = 0) -> str:
    """The code an app shows now, or so many codes later: none is accepted twice."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // SECONDS + ahead)))


def sign_up(page: Page, name: str) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("link", name=f"Account ({name})")).to_be_visible()


def sign_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()


def sign_in(page: Page, name: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("User name or e-mail address").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def confirm_password(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def set_up_an_app(page: Page) -> tuple[str, list[str]]:
    """Set up an authenticator app; returns its secret and the recovery codes."""
    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Set up an authenticator app").click()
    confirm_password(page)
    secret = page.get_by_label("Authenticator secret").input_value()
    page.get_by_label("Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_role("heading", name="Recovery Codes")).to_be_visible()
    return secret, page.get_by_label("Unused codes").input_value().split()


def arrived(page: Page, name: str) -> None:
    expect(page.get_by_role("link", name=f"Account ({name})")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_after_the_password_an_app_code_or_recovery_code_is_required(come: Join, javascript: bool) -> None:
    name = f"totp{javascript}".lower()
    page = come(name, javascript=javascript).page
    sign_up(page, name)
    secret, recovery_codes = set_up_an_app(page)
    assert len(recovery_codes) == 10

    sign_out(page)
    sign_in(page, name)
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    expect(page.get_by_label("Code")).to_have_attribute("autocomplete", "one-time-code")
    page.goto("/accounts/profile/")
    expect(page).to_have_url(re.compile("/accounts/2fa/authenticate/|/accounts/login/"))
    page.goto("/accounts/2fa/authenticate/")
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".errorlist")).to_contain_text("Incorrect code")
    page.get_by_label("Code").fill(code_of(secret, ahead=1))
    page.get_by_role("button", name="Sign in").click()
    arrived(page, name)

    sign_out(page)
    sign_in(page, name)
    page.get_by_label("Code").fill(recovery_codes[0])
    page.get_by_role("button", name="Sign in").click()
    arrived(page, name)

    sign_out(page)
    sign_in(page, name)
    page.get_by_label("Code").fill(recovery_codes[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".errorlist")).to_contain_text("Incorrect code")


class Key:
    """A virtual device for passkeys, in the browser."""

    def __init__(self, page: Page) -> None:
        self.session: CDPSession = page.context.new_cdp_session(page)
        self.session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self.id = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def refuse(self) -> None:
        """Fail to verify the user, as if its owner were not there."""
        self.session.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": False})

    def count_as(self, count: int) -> None:
        """Set the signature counter back, as a copy made at that time would have it."""
        (credential,) = self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"]
        assert credential["signCount"] > count
        name = {"authenticatorId": self.id, "credentialId": credential["credentialId"]}
        self.session.send("WebAuthn.removeCredential", name)
        copy = {"authenticatorId": self.id, "credential": credential | {"signCount": count}}
        self.session.send("WebAuthn.addCredential", copy)


@pytest.fixture
def pat(come: Join) -> Iterator[tuple[Page, Key]]:
    """A page of a user who has a passkey, and the device."""
    page = come("pat", javascript=True).page
    key = Key(page)
    page.goto("/accounts/login/")
    sign_up(page, f"pat{int(time.time() * 1000) % 10**9}")
    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Add a passkey").click()
    confirm_password(page)
    page.get_by_label("Name").fill("My laptop")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Recovery Codes")).to_be_visible()
    yield page, key


def test_a_passkey_signs_in_without_a_password(pat: tuple[Page, Key]) -> None:
    page, _ = pat
    page.goto("/accounts/2fa/webauthn/")
    expect(page.locator("strong", has_text="My laptop")).to_be_visible()
    expect(page.get_by_text("signs you in without a password")).to_be_visible()
    sign_out(page)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Your rooms")).to_be_visible()


def test_a_passkey_is_a_second_factor_after_a_password(pat: tuple[Page, Key]) -> None:
    page, _ = pat
    name = page.get_by_role("link", name=re.compile("Account")).inner_text().partition("(")[2].rstrip(")")
    sign_out(page)
    sign_in(page, name)
    page.get_by_role("button", name="Use a passkey").click()
    arrived(page, name)


def test_a_passkey_without_its_owner_is_refused_with_a_reason(pat: tuple[Page, Key]) -> None:
    page, key = pat
    sign_out(page)
    key.refuse()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was used")
    expect(page.get_by_role("button", name="Sign in")).to_be_enabled()


def test_without_javascript_every_way_but_passkeys_is_offered(come: Join) -> None:
    page = come("plain").page
    page.goto("/accounts/login/")
    expect(page.get_by_role("button", name="Use a passkey")).to_have_count(0)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_copied_passkey_is_refused_with_a_reason(pat: tuple[Page, Key]) -> None:
    page, key = pat
    sign_out(page)
    key.count_as(0)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("may have been copied")).to_be_visible()
    page.goto("/accounts/profile/")
    expect(page).to_have_url(re.compile("/accounts/login/"))

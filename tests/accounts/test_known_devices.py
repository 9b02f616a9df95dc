"""Strangers' wrong passwords lock no one out of a browser in which they signed in before."""

import time

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts import known_devices
from apps.accounts.models import User
from apps.core import limits
from tests.conftest import PASSWORD, sign_up

pytestmark = pytest.mark.django_db


def try_password(client: Client, password: str = PASSWORD, login: str = "ada") -> str:
    """Try to sign in; returns the outcome."""
    answer = client.post("/accounts/login/", {"login": login, "password": password})
    if answer.status_code == 302:
        return "signed in"
    return "locked out" if "Too many failed" in answer.content.decode() else "refused"


def lock_out(login: str = "ada") -> None:
    """Try wrong passwords from many networks until the account is locked."""
    for number in range(6):
        outcome = try_password(Client(REMOTE_ADDR=f"10.0.{number}.1"), f"wrong {number}", login)
    assert outcome == "locked out"


@pytest.fixture
def known() -> Client:
    """The browser in which Ada signed up, with an address; she is signed out."""
    client, _ = sign_up("ada", email="ada@example.org")
    client.post("/accounts/logout/")
    return client


def test_a_known_device_can_sign_in_while_others_are_locked_out(known: Client) -> None:
    lock_out()
    assert try_password(Client(REMOTE_ADDR="10.9.9.9")) == "locked out"
    assert try_password(known) == "signed in"


def test_a_known_device_can_sign_in_by_address_during_a_lockout(known: Client) -> None:
    lock_out("ada@example.org")
    assert try_password(Client(REMOTE_ADDR="10.9.9.9"), login="ada@example.org") == "locked out"
    assert try_password(known, login="ada@example.org") == "signed in"


def test_a_device_becomes_known_by_signing_in(known: Client) -> None:
    other = Client()
    assert try_password(other) == "signed in"
    other.post("/accounts/logout/")
    lock_out()
    assert try_password(other) == "signed in"


def test_a_known_device_has_its_own_count(known: Client) -> None:
    outcomes = [try_password(known, f"wrong {number}") for number in range(11)]
    assert outcomes == ["refused"] * 10 + ["locked out"]
    assert try_password(known) == "locked out"
    assert try_password(Client(REMOTE_ADDR="10.9.9.9")) == "signed in"


def test_signing_in_again_does_not_reset_a_devices_count(known: Client) -> None:
    for number in range(6):
        try_password(known, f"wrong {number}")
    assert try_password(known) == "signed in"
    known.post("/accounts/logout/")
    outcomes = [try_password(known, f"wrong {number}") for number in range(5)]
    assert outcomes == ["refused"] * 4 + ["locked out"]


def test_another_users_cookie_does_not_help(known: Client) -> None:
    thief, _ = sign_up("eve")
    thief.post("/accounts/logout/")
    lock_out()
    assert try_password(thief) == "locked out"


def test_a_new_password_invalidates_the_cookie(known: Client) -> None:
    ada = User.objects.get(username="ada")
    ada.set_password(PASSWORD)
    ada.save()
    lock_out()
    assert try_password(known) == "locked out"


def test_a_deleted_accounts_cookie_is_invalid_for_a_new_one_of_that_name(known: Client) -> None:
    User.objects.filter(username="ada").delete()
    sign_up("ada")
    lock_out()
    assert try_password(known) == "locked out"


def test_the_cookie_expires_after_a_year(known: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + known_devices.KNOWN_SECONDS + 1
    monkeypatch.setattr("apps.accounts.known_devices.time.time", lambda: later)
    lock_out()
    assert try_password(known) == "locked out"


@pytest.mark.parametrize("value", ["", "x", "~~~", "a" * 16 + ".1." + "0" * 64, "\x00\ud800", "a" * 100_000])
def test_an_invalid_cookie_is_ignored(known: Client, value: str) -> None:
    lock_out()
    client = Client(REMOTE_ADDR="10.9.9.9")
    client.cookies[known_devices.COOKIE] = value.encode(errors="ignore").decode().replace("\x00", "")
    assert try_password(client) == "locked out"


def test_the_cookie_identifies_no_one_and_is_hidden_from_scripts(settings: Settings) -> None:
    client, _ = sign_up("ada-lovelace", email="ada@example.org")
    cookie = client.cookies[known_devices.COOKIE]
    pk = User.objects.get(username="ada-lovelace").pk
    # The part of the name that cannot occur in a hexadecimal number.
    assert "lovelace" not in cookie.value
    assert str(pk) not in cookie.value.split(".")
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/accounts/")
    assert cookie["max-age"] == 365 * 24 * 3600
    assert not cookie["secure"]
    settings.SESSION_COOKIE_SECURE = True
    client, _ = sign_up("eve")
    assert client.cookies[known_devices.COOKIE]["secure"]


def test_a_browser_remembers_a_few_accounts() -> None:
    client = Client()
    for number in range(limits.MAX_KNOWN_ACCOUNTS + 2):
        other, _ = sign_up(f"user{number}")
        other.post("/accounts/logout/")
        assert try_password(client, login=f"user{number}") == "signed in"
        client.post("/accounts/logout/")
    assert len(client.cookies[known_devices.COOKIE].value.split("~")) == limits.MAX_KNOWN_ACCOUNTS
    lock_out("user6")
    lock_out("user0")
    assert try_password(client, login="user6") == "signed in"
    client.post("/accounts/logout/")
    assert try_password(client, login="user0") == "locked out"


def test_signed_in_users_can_confirm_their_password_during_a_lockout(known: Client) -> None:
    try_password(known)
    del known.cookies[known_devices.COOKIE]
    lock_out()
    lock_out("ada@example.org")
    answer = known.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert answer.status_code == 302


def test_a_cookie_is_checked_even_without_an_account_to_hide_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_up("ada", email="ada@example.org")
    held: list[int] = []
    seal_of = known_devices.seal_of

    def counted(device: str, given_at: int, user: User) -> str:
        held.append(given_at)
        return seal_of(device, given_at, user)

    monkeypatch.setattr(known_devices, "seal_of", counted)
    for login in ("ada", "eve", "ada@example.org", "eve@example.org"):
        stranger = Client()
        stranger.cookies[known_devices.COOKIE] = "~".join([f"{'a' * 16}.{int(time.time())}.{'0' * 64}"] * 5)
        try_password(stranger, "wrong", login)
        assert len(held) == 5
        held.clear()

"""Provider accounts belong to an issuer: changing the provider's address hands none of them over."""

from collections.abc import Callable
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from pytest_django import Settings

from apps.accounts.elsewhere import issuers
from tests.conftest import make_user

OLD, NEW = "https://old.example.org/realm", "https://new.example.org/realm"
migration = import_module("apps.accounts.migrations.0006_issuers")


def set_server(settings: Settings, url: str) -> None:
    """Set the provider's address, as OIDC_SERVER_URL does."""
    app = {"provider_id": "oidc", "name": "School", "client_id": "x", "secret": "x", "settings": {"server_url": url}}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}} if url else {}


@pytest.fixture
def account(db: None) -> Callable[..., SocialAccount]:
    def make(name: str, sub: str, issuer: str = OLD) -> SocialAccount:
        extra = {"issuer": issuers.canonical(issuer), "id_token": {"iss": issuer, "sub": sub}}
        made: SocialAccount = SocialAccount.objects.create(
            user=make_user(name), provider="oidc", uid=issuers.uid_for(issuer, sub), extra_data=extra
        )
        return made

    return make


@pytest.mark.parametrize(
    "other",
    [
        "https://old.example.org/realm/",
        "HTTPS://OLD.example.org/realm",
        "https://old.example.org:443/realm",
        "https://old.example.org/realm/.well-known/openid-configuration",
    ],
)
def test_other_spellings_of_an_issuer_are_the_same_issuer(other: str) -> None:
    assert issuers.uid_for(other, "1") == issuers.uid_for(OLD, "1")


@pytest.mark.parametrize(
    "other",
    [
        "http://old.example.org/realm",
        "https://old.example.org/Realm",
        "https://old.example.org:444/realm",
        "https://old.example.org/",
        "https://old.example.org.evil.example/realm",
        "https://old.example.org@evil.example/realm",
        NEW,
    ],
)
def test_a_different_issuer_gives_a_different_uid(other: str) -> None:
    assert issuers.uid_for(other, "1") != issuers.uid_for(OLD, "1")


def test_no_two_subs_of_an_issuer_share_a_uid_and_each_fits() -> None:
    long = "s" * 255
    hashed = issuers.uid_for(OLD, long).partition("#")[2]
    uids = [issuers.uid_for(OLD, sub) for sub in ("1", "1 ", "#1", ":1", long, "s" * 254, hashed)]
    assert len(set(uids)) == len(uids)
    assert max(map(len, uids)) <= issuers.MAX_UID_CHARACTERS


# The migration.


def rows_before(settings: Settings) -> None:
    """Rows as they were stored before the migration."""
    known = {"id_token": {"iss": OLD, "sub": "1"}, "userinfo": {"sub": "1"}}
    odd: list[tuple[str, str, Any]] = [
        ("recorded", "1", known),
        ("bare", "2", {"iss": OLD, "sub": "2"}),
        ("silent", "3", {"userinfo": {"sub": "3"}}),
        ("long", "s" * 191, known),
        ("odd", "5", {"id_token": {"iss": ["x"]}}),
        ("nothing", "6", None),
    ]
    for name, uid, extra in odd:
        SocialAccount.objects.create(user=make_user(name), provider="oidc", uid=uid, extra_data=extra or {})
    SocialAccount.objects.create(user=make_user("github"), provider="github", uid="7", extra_data={"id": 7})


def uids() -> dict[str, str]:
    return dict(SocialAccount.objects.values_list("user__username", "uid"))


@pytest.mark.django_db
def test_accounts_get_their_recorded_issuer_or_else_the_current_one(settings: Settings) -> None:
    """The address changed before the upgrade: accounts known to be of the former issuer stay with it."""
    set_server(settings, NEW)
    rows_before(settings)
    migration.name_issuers(apps, None)
    assert uids() == {
        "recorded": issuers.uid_for(OLD, "1"),
        "bare": issuers.uid_for(OLD, "2"),
        "silent": issuers.uid_for(NEW, "3"),
        "long": issuers.uid_for(OLD, "s" * 191),
        "odd": issuers.uid_for(NEW, "5"),
        "nothing": issuers.uid_for(NEW, "6"),
        "github": "7",
    }
    assert issuers.counts() == {("oidc", OLD): 3, ("oidc", NEW): 3}


@pytest.mark.django_db
def test_accounts_without_an_issuer_can_be_moved_to_one(settings: Settings) -> None:
    set_server(settings, "")
    rows_before(settings)
    migration.name_issuers(apps, None)
    assert issuers.counts() == {("oidc", OLD): 3, ("oidc", issuers.UNKNOWN): 3}
    call_command("move_accounts", issuers.UNKNOWN, NEW, "--no-input", stdout=StringIO())
    assert uids()["silent"] == issuers.uid_for(NEW, "3")


@pytest.mark.django_db
def test_the_migration_can_be_undone(settings: Settings) -> None:
    set_server(settings, NEW)
    rows_before(settings)
    before = list(SocialAccount.objects.order_by("pk").values_list("uid", "extra_data"))
    migration.name_issuers(apps, None)
    migration.forget_issuers(apps, None)
    assert list(SocialAccount.objects.order_by("pk").values_list("uid", "extra_data")) == before


def test_the_migration_names_issuers_as_the_site_does() -> None:
    for one in (OLD, NEW, "HTTPS://A.b:443/x/", "http://[::1]:8000/", "", "no address", "https://[", "https://a:x/"):
        assert migration.canonical(one) == issuers.canonical(one)


# Warnings to operators, and the command.


def warnings() -> list[str]:
    return [str(one.msg) for one in run_checks(databases=["default"]) if one.id == "parley.W013"]


def test_operators_are_told_how_many_accounts_a_new_address_leaves_behind(
    account: Callable[..., SocialAccount], settings: Settings
) -> None:
    account("ada", "1"), account("bob", "2"), account("carol", "3", NEW)
    set_server(settings, OLD + "/")
    assert warnings() == [f"1 accounts of {NEW} open nothing: people sign in with {OLD} now, as new ones."]
    set_server(settings, NEW)
    assert warnings() == [f"2 accounts of {OLD} open nothing: people sign in with {NEW} now, as new ones."]
    set_server(settings, "")
    assert warnings() == []


def test_an_unchanged_address_gives_no_warning(account: Callable[..., SocialAccount], settings: Settings) -> None:
    account("ada", "1")
    set_server(settings, OLD)
    assert warnings() == []


@pytest.mark.parametrize(
    ("server", "is_told"), [("http://login.school.example", True), ("http://127.0.0.1:9000", False), (OLD, False)]
)
def test_operators_are_warned_of_a_provider_without_tls(
    db: None, settings: Settings, server: str, is_told: bool
) -> None:
    set_server(settings, server)
    found = run_checks(include_deployment_checks=True)
    assert [one.id for one in found if one.id == "parley.W014"] == ["parley.W014"] * is_told


def move(*arguments: str) -> str:
    out = StringIO()
    call_command("move_accounts", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_moves_only_accounts_of_the_given_issuer(
    account: Callable[..., SocialAccount], settings: Settings
) -> None:
    account("ada", "1"), account("bob", "s" * 200), account("carol", "3", "https://third.example.org")
    assert move(OLD + "/", NEW, "--no-input") == f"2 accounts moved from {OLD} to {NEW}.\n"
    assert uids() == {
        "ada": issuers.uid_for(NEW, "1"),
        "bob": issuers.uid_for(NEW, "s" * 200),
        "carol": issuers.uid_for("https://third.example.org", "3"),
    }
    set_server(settings, NEW)
    assert move() == f"oidc: 2 accounts of {NEW} (set now)\noidc: 1 accounts of https://third.example.org\n"


def test_a_dry_run_counts_and_moves_nothing(account: Callable[..., SocialAccount]) -> None:
    account("ada", "1")
    assert move(OLD, NEW, "--dry-run") == f"1 accounts would move from {OLD} to {NEW}.\n"
    assert uids() == {"ada": issuers.uid_for(OLD, "1")}


@pytest.mark.parametrize(("answer", "is_moved"), [("yes", True), ("y", False), ("", False), (EOFError, False)])
def test_the_command_asks_before_it_does_anything(
    account: Callable[..., SocialAccount], monkeypatch: pytest.MonkeyPatch, answer: Any, is_moved: bool
) -> None:
    account("ada", "1")

    def typed(prompt: str) -> str:
        if answer is EOFError:
            raise EOFError
        return str(answer)

    monkeypatch.setattr("builtins.input", typed)
    if is_moved:
        move(OLD, NEW)
    else:
        with pytest.raises(CommandError, match=r"^Nothing is moved\.$"):
            move(OLD, NEW)
    assert uids() == {"ada": issuers.uid_for(NEW if is_moved else OLD, "1")}


def test_nothing_is_moved_if_two_accounts_would_become_one(account: Callable[..., SocialAccount]) -> None:
    account("ada", "1"), account("bob", "2"), account("eve", "1", NEW)
    before = uids()
    with pytest.raises(CommandError, match=f"^Nothing is moved: 1 of 2 people have an account of {NEW} already.$"):
        move(OLD, NEW, "--no-input")
    assert uids() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((OLD,), "two issuers"),
        ((OLD, OLD + "/"), "same"),
        ((OLD, "nowhere"), "no address"),
        ((OLD, "https://["), "no address"),
        (("https://unheard.example", NEW), "no accounts"),
    ],
)
def test_the_command_reports_each_mistake_in_one_line(
    account: Callable[..., SocialAccount], arguments: tuple[str, ...], said: str
) -> None:
    account("ada", "1")
    with pytest.raises(CommandError, match=said) as told:
        move(*arguments, "--no-input")
    assert "\n" not in str(told.value)
    assert uids() == {"ada": issuers.uid_for(OLD, "1")}

"""Profiles and preferences: stored, shown, refused."""

import re
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.forms import time_zones
from apps.accounts.models import User
from apps.accounts.preferences import PREFERENCES, Preference, attributes_of
from apps.accounts.templatetags.people import initials
from apps.rooms.models import Room
from tests.conftest import Cast, client_of, make_user, say

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


PROFILE = {
    "display_name": "  Ada   Lovelace ",
    "pronouns": "she/her",
    "about": "I write\nprograms.",
    "time_zone": "Europe/London",
}


def test_a_profile_is_stored_and_shown_to_users_who_share_a_room(ada: User, lobby: Room) -> None:
    assert client_of(ada).post("/accounts/profile/", PROFILE).status_code == 302
    page = client_of(make_user("bob")).get("/people/ada/").content.decode()
    for text in ("Ada Lovelace", "she/her", "I write<br>programs.", "there", "Lobby"):
        assert text in page


def test_strangers_cannot_see_a_profile(cast: Cast, lobby: Room) -> None:
    lobby.memberships.all().delete()
    path = f"/people/{cast.member.username}/"
    expected = {"anonymous": 302, "outsider": 404, "member": 200, "moderator": 200, "owner": 200}
    assert cast.status_for_each(lambda client: client.get(path).status_code) == expected
    assert client_of(cast.outsider).get("/people/nobody/").status_code == 404
    assert client_of(cast.member).post(path).status_code == 405
    assert client_of(make_user("mod", role="moderator")).get(path).status_code == 200


@pytest.mark.parametrize("name", ["a%00b", "no one", "%F0%9F%98%80", "..%2f"])
def test_an_unknown_username_returns_404(ada: User, name: str) -> None:
    assert client_of(ada).get(f"/people/{name}/").status_code == 404


@pytest.mark.parametrize(
    "bad",
    [
        {"display_name": "x" * 61},
        {"display_name": "a\x00b"},
        {"display_name": "a\u0301\u0302\u0303\u0304"},
        {"pronouns": "x" * 31},
        {"about": "x" * 501},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
    ],
)
def test_bad_input_is_refused_and_kept_in_the_form(ada: User, bad: dict[str, str]) -> None:
    answer = client_of(ada).post("/accounts/profile/", PROFILE | bad)
    assert answer.status_code == 422
    assert "I write" in answer.content.decode() or "about" in bad
    ada.refresh_from_db()
    assert ada.display_name == ""


def current_pages(client: Client, path: str) -> list[str]:
    """The links that the account navigation marks as the current page."""
    return re.findall(r'<a href="([^"]*)" aria-current="page">', client.get(path).content.decode())


@pytest.mark.parametrize("path", ["/accounts/profile/", "/accounts/email/", "/accounts/data/", "/accounts/2fa/"])
def test_the_account_navigation_marks_the_current_page(ada: User, path: str) -> None:
    assert current_pages(client_of(ada), path) == [path]


def test_pages_of_a_second_factor_mark_the_second_factor_link(ada: User) -> None:
    assert current_pages(client_of(ada), "/accounts/2fa/webauthn/") == ["/accounts/2fa/"]


def test_a_refused_username_is_not_shown_as_the_users_own(ada: User) -> None:
    page = client_of(ada).post("/accounts/username/", {"username": "x y"}, follow=True).content.decode()
    assert "> (<bdi>ada</bdi>)</span>" in page


def test_hostile_text_is_escaped(ada: User) -> None:
    hostile = {
        "display_name": "<script>alert(1)</script>",
        "about": "<hx-partial hx-target='body'>",
        "pronouns": '"><b>',
    }
    client_of(ada).post("/accounts/profile/", hostile)
    page = client_of(make_user("bob")).get("/people/ada/").content.decode()
    for text in ("<script>alert", "<hx-partial", '"><b>'):
        assert text not in page


def test_messages_and_members_show_the_chosen_display_name(cast: Cast) -> None:
    User.objects.filter(pk=cast.member.pk).update(display_name="Mia")
    cast.member.refresh_from_db()
    say(cast.room, cast.member, "Hello")
    page = client_of(cast.owner).get(f"/rooms/{cast.room.slug}/").content.decode()
    assert page.count("<bdi>Mia</bdi>") == 2
    assert 'data-author="member"' in page


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ada Lovelace", "AL"),
        ("ada", "A"),
        ("Jean-Luc  Picard", "JP"),
        ("李雷", "李"),
        ("(x) [y]", "XY"),
        ("...", ""),
        ("Ann Ada", "AA"),
    ],
)
def test_without_a_picture_initials_are_shown(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_every_listed_time_zone_exists() -> None:
    names = [name for _, places in time_zones()[2:] for name, _ in places]
    assert len(names) > 350
    assert {"Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata"} <= set(names)
    for name in names:
        ZoneInfo(name)


CHOSEN = {
    "theme": "dark",
    "text_size": "large",
    "density": "compact",
    "motion": "reduced",
    "clock": "12",
    "enter_key": "line",
    "sounds": "on",
}


def test_preferences_are_stored_and_apply_to_every_page(ada: User) -> None:
    client = client_of(ada)
    assert client.post("/accounts/preferences/", CHOSEN).status_code == 302
    for path in ("/", "/rooms/lobby/", "/accounts/email/"):
        page = client.get(path).content.decode()
        for attribute in ('theme="dark', 'text="large', 'density="compact', 'motion="reduced', 'enter="line', "sounds"):
            assert f" data-{attribute}" in page.partition("<head>")[0]


def the_other_value(name: str) -> str:
    """What the form sends for a preference's value other than the default."""
    choices = User._meta.get_field(name).choices  # type: ignore[union-attr]
    if choices:
        return str([value for value, _ in choices if value][-1])
    return "" if getattr(User(), name) else "on"


@pytest.mark.parametrize("preference", PREFERENCES, ids=lambda one: one.name)
def test_each_preference_is_stored_and_shown_in_its_attribute(ada: User, preference: Preference) -> None:
    client = client_of(ada)
    form = {"letter_keys": "on", preference.name: the_other_value(preference.name)}
    assert (
        client.post("/accounts/preferences/", {name: value for name, value in form.items() if value}).status_code == 302
    )
    ada.refresh_from_db()
    assert getattr(ada, preference.name) != getattr(User(), preference.name)
    shown = attributes_of(ada)
    assert set(shown) == {preference.attribute} - {""}
    tag = client.get("/").content.decode().partition("<head>")[0]
    assert all(f' data-{attribute}="{value}"' in tag for attribute, value in shown.items())


def test_without_preferences_a_page_has_no_attributes(ada: User) -> None:
    assert '<html lang="en">' in Client().get("/").content.decode()
    assert f'<html lang="en" data-viewer="{ada.pk}">' in client_of(ada).get("/").content.decode()


def test_all_preferences_can_be_reset(ada: User) -> None:
    client = client_of(ada)
    client.post("/accounts/preferences/", CHOSEN)
    assert client.post("/accounts/preferences/", {}).status_code == 302
    ada.refresh_from_db()
    assert [getattr(ada, name) for name in CHOSEN] == [""] * 6 + [False]


@pytest.mark.parametrize("name", ["theme", "text_size", "density", "motion", "clock", "enter_key"])
def test_an_unknown_preference_is_refused(ada: User, name: str) -> None:
    assert client_of(ada).post("/accounts/preferences/", {name: "neon"}).status_code == 422


@pytest.mark.parametrize("path", ["profile/", "preferences/", "sessions/", "data/", "username/", "delete/"])
def test_account_pages_need_a_signed_in_user(path: str) -> None:
    answer = Client().get(f"/accounts/{path}")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/?next=")


@pytest.mark.parametrize(
    "path",
    ["profile/picture/", "profile/picture/remove/", "sessions/1/end/", "sessions/end-others/", "data/download/"],
)
def test_changes_need_a_post(ada: User, path: str) -> None:
    assert client_of(ada).get(f"/accounts/{path}").status_code == 405


@pytest.mark.parametrize("path", ["profile/", "preferences/", "username/", "delete/", "sessions/", "data/"])
def test_no_page_accepts_a_put(ada: User, path: str) -> None:
    assert client_of(ada).put(f"/accounts/{path}").status_code == 405


def test_times_in_the_conversation_follow_the_viewers_clock(cast: Cast, settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    message = say(cast.room, cast.owner)
    type(message).objects.update(created_at="2026-06-01T22:05:00Z")
    path = f"/rooms/{cast.room.slug}/"

    page = client_of(cast.member).get(path).content.decode()
    assert "22:05</time>" in page
    assert shown_time(cast, path, clock="12") == "10:05 p.m."
    assert shown_time(cast, path, clock="", time_zone="Europe/Berlin") == "Tue 00:05"
    assert shown_time(cast, path, clock="12", time_zone="America/New_York") == "6:05 p.m."


def shown_time(cast: Cast, path: str, **preferences: str) -> str:
    """The time of the only message, for a member with these preferences."""
    User.objects.filter(pk=cast.member.pk).update(**preferences)
    page = client_of(cast.member).get(path).content.decode()
    meta = page.partition('<p class="meta">')[2].partition("</time>")[0]
    return meta.rpartition(">")[2]

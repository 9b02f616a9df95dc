"""Which language pages and scripts use."""

import pytest
from django.conf import settings
from django.test import Client

from tests.conftest import Cast, client_of, make_user

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.mark.django_db
@pytest.mark.parametrize(("accepted", "spoken"), [("de-AT,en;q=0.5", "de"), ("ar", "ar"), ("xx", "en"), ("", "en")])
def test_strangers_get_their_browsers_language(client: Client, accepted: str, spoken: str) -> None:
    answer = client.get("/", headers={"Accept-Language": accepted})
    assert answer.headers["Content-Language"] == spoken
    assert f'<html lang="{spoken}"' in answer.content.decode()
    assert "Accept-Language" in answer.headers["Vary"]


@pytest.mark.django_db
def test_arabic_pages_are_right_to_left(client: Client) -> None:
    assert '<html lang="ar" dir="rtl"' in client.get("/", headers={"Accept-Language": "ar"}).content.decode()
    assert "dir=" not in client.get("/", headers=GERMAN).content.decode().partition("<head>")[0]


@pytest.mark.django_db
def test_an_accounts_language_overrides_the_browsers() -> None:
    answer = client_of(make_user("ada", language="ar")).get("/", headers=GERMAN)
    assert answer.headers["Content-Language"] == "ar"


@pytest.mark.django_db
def test_a_language_the_site_no_longer_has_falls_back(client: Client) -> None:
    assert client_of(make_user("ada", language="tlh")).get("/", headers=GERMAN).headers["Content-Language"] == "de"


@pytest.mark.django_db
def test_the_language_can_be_chosen_in_the_profile(client: Client) -> None:
    ada = client_of(make_user("ada"))
    assert ada.post("/accounts/profile/", {"language": "de"}).status_code == 302
    assert ada.get("/").headers["Content-Language"] == "de"
    assert ada.post("/accounts/profile/", {"language": "tlh"}).status_code == 422


@pytest.mark.django_db
def test_strangers_can_choose_a_language(client: Client) -> None:
    answer = client.post("/language/", {"language": "de", "next": "/rooms/"})
    assert answer.headers["Location"] == "/rooms/"
    assert client.get("/").headers["Content-Language"] == "de"
    assert client.post("/language/", {"language": "de", "next": "https://evil.example/"}).headers["Location"] == "/"


@pytest.mark.django_db
@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES])
def test_scripts_have_their_texts_in_every_language(client: Client, language: str) -> None:
    answer = client.get(f"/words/{language}.js")
    assert answer.status_code == 200
    assert "public" in answer.headers["Cache-Control"]
    assert "ngettext" in answer.content.decode()
    assert client.get("/words/tlh.js").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/keys/", "/accessibility/"])
def test_anyone_can_read_the_help_pages(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200
    assert client.post(path).status_code == 405


@pytest.mark.django_db
def test_every_page_links_to_the_accessibility_statement(cast: Cast) -> None:
    for path in ("/", "/rooms/", "/rooms/attic/", "/accounts/profile/", "/nowhere/"):
        assert 'href="/accessibility/"' in client_of(cast.member).get(path).content.decode()

"""
Whatever form is refused, for whatever reason: the page that says so gives back all that was typed, passwords excepted.

The forms are found on the pages, so that a new one is looked at by itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, transaction
from django.http import Http404, QueryDict
from django.test import Client, RequestFactory
from pytest_django import Settings

from apps.core import limits
from apps.core.kept import LABELS, kept_of
from apps.core.views import problem
from apps.rooms.models import Room
from tests.conftest import Cast, client_of
from tests.core.test_hostile_names import World, provider

pytestmark = pytest.mark.django_db

WRITTEN = {"text", "email", "number", "search", "url", "tel", "textarea"}
# The admin's own pages name their fields by what they are in the database; nothing else is excepted.
ADMIN = "/admin/"


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("allauth.mfa.webauthn.internal.auth.get_credentials", lambda user: [])
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [provider("x")]}}
    return World()


class Forms(HTMLParser):
    """The forms of a page that are posted: where to, and of what kind each field is."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, set[str]]]] = []
        self.fields: dict[str, set[str]] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.fields = {} if given.get("method") == "post" else None
            if self.fields is not None:
                self.found.append((given.get("action") or "", self.fields))
        elif self.fields is not None and tag in {"input", "textarea", "select", "button"} and given.get("name"):
            kind = (given.get("type") or "text") if tag == "input" else tag
            self.fields.setdefault(str(given["name"]), set()).add(kind)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.fields = None


type_of_forms = dict[tuple[str, str], dict[str, set[str]]]


def forms_of(world: World) -> type_of_forms:
    """Every form that the owner, or who has not signed in, is shown: by viewer and address, its fields' kinds."""
    found: type_of_forms = {}
    for _, path in world.addresses():
        for viewer in ("anonymous", "owner"):
            answer = world.clients[viewer].get(path)
            if not answer.headers.get("Content-Type", "").startswith("text/html"):
                continue
            for action, fields in Forms(answer.content.decode()).found:
                known = found.setdefault((viewer, urljoin(path, action)), {})
                for name, kinds in fields.items():
                    known.setdefault(name, set()).update(kinds)
    assert len(found) > 40
    return found


def typed_into(fields: dict[str, set[str]]) -> dict[str, str]:
    """Something of its own in each field, with what HTML must not take for its own."""
    return {
        name: f"typed in {name} <b> & 'more'\r\nand more" if kinds & (WRITTEN | {"password"}) else f"chosen-{name}"
        for name, kinds in fields.items()
        if not kinds <= {"file"} and name != "csrfmiddlewaretoken"
    }


class Values(HTMLParser):
    """What the fields of a page hold, by their names, and whether one sees each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.held: list[tuple[str, str, bool]] = []
        self.area: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input":
            self.held.append((given.get("name") or "", given.get("value") or "", given.get("type") != "hidden"))
        elif tag == "textarea":
            self.area = given.get("name") or ""
            self.held.append((self.area, "", True))

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            name, value, is_seen = self.held[-1]
            self.held[-1] = (name, value + data, is_seen)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            # As a browser has it: without the line break that begins it.
            name, value, is_seen = self.held[-1]
            self.held[-1] = (name, value.removeprefix("\n"), is_seen)
            self.area = None


def losses(fields: dict[str, set[str]], page: str) -> list[str]:
    """What was typed and is not in the page, or not in sight, or should not be there."""
    held, lost = Values(page).held, []
    for name, value in typed_into(fields).items():
        value = value.replace("\r\n", "\n")
        found = [is_seen for one, text, is_seen in held if one == name and text == value]
        if "password" in name:
            lost += [f"{name} is shown"] if f"typed in {name} " in page else []
        elif not found:
            lost.append(name)
        elif fields[name] & WRITTEN and not any(found):
            lost.append(f"{name} is out of sight")
    return lost


def sweep(world: World, post: Callable[[str, str, dict[str, str]], Any], statuses: set[int]) -> dict[str, Any]:
    """Every form posted; gives where something was lost, or where the answer was not the one that was to come."""
    found = {}
    for (viewer, address), fields in forms_of(world).items():
        with transaction.atomic():
            answer = post(viewer, address, typed_into(fields))
            transaction.set_rollback(True)
        cache.clear()
        if answer.status_code not in statuses:
            found[f"{viewer} {address}"] = answer.status_code
        elif lost := losses(fields, answer.content.decode()):
            found[f"{viewer} {address}"] = lost
    return found


def same_browser(world: World, viewer: str, *, checks: bool = False) -> Client:
    """The viewer's, which asks for the forms' token, or raises nothing."""
    client = Client(enforce_csrf_checks=checks, raise_request_exception=False)
    client.cookies.update(world.clients[viewer].cookies)
    return client


def test_a_stale_token_loses_nothing_of_any_form(world: World) -> None:
    def post(viewer: str, address: str, typed: dict[str, str]) -> Any:
        client = same_browser(world, viewer, checks=True)
        client.cookies["csrftoken"] = "b" * 32
        return client.post(address, typed | {"csrfmiddlewaretoken": "a" * 32})

    assert sweep(world, post, {403}) == {}


def test_a_session_that_has_ended_loses_nothing_of_any_form(world: World) -> None:
    found = {}
    for (viewer, address), fields in forms_of(world).items():
        if viewer == "anonymous" or address.startswith(ADMIN) or not any(kinds & WRITTEN for kinds in fields.values()):
            continue
        answer = Client().post(address, typed_into(fields))
        location = answer.headers.get("Location", "")
        if "next=" in location or (answer.status_code >= 400 and losses(fields, answer.content.decode())):
            found[address] = location or losses(fields, answer.content.decode())
    assert found == {}


def test_who_signs_in_after_any_form_comes_to_a_page(world: World) -> None:
    owner, found = world.clients["owner"], {}
    for (viewer, address), fields in forms_of(world).items():
        if viewer == "anonymous" or address.startswith(ADMIN):
            continue
        for headers in (
            {"Referer": "http://testserver/rooms/?q=attic"},
            {"Referer": "https://evil.example/rooms/"},
            {},
        ):
            answer = Client().post(address, typed_into(fields), headers=headers)
            place = parse_qs(urlsplit(answer.headers.get("Location", "")).query).get("next", [])
            if place and (status := owner.get(place[0]).status_code) == 405:
                found[address] = status
    assert found == {}


@pytest.mark.parametrize(
    ("referer", "place"),
    [
        ("http://testserver/rooms/?q=attic", "/rooms/?q=attic"),
        ("http://testserver/rooms/attic/", "/rooms/attic/"),
        ("https://evil.example/rooms/", "/"),
        ("", "/"),
    ],
)
def test_who_signs_in_after_pressing_a_button_is_back_where_it_stood(cast: Cast, referer: str, place: str) -> None:
    answer = Client().post("/rooms/attic/join/", headers={"Referer": referer})
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["next"] == [place]


def test_the_title_of_a_page_says_that_its_form_was_refused(world: World) -> None:
    found, refused = {}, 0
    for (viewer, address), fields in forms_of(world).items():
        if address.startswith(ADMIN):
            continue
        with transaction.atomic():
            answer = same_browser(world, viewer).post(address, typed_into(fields))
            transaction.set_rollback(True)
        cache.clear()
        page = "" if answer.streaming else answer.content.decode()
        title = page.partition("<title>")[2].partition("</title>")[0].strip()
        refused += (is_refused := 'aria-invalid="true"' in page)
        if is_refused and not title.startswith("Error: "):
            found[f"{viewer} {address}"] = title
    assert found == {}
    assert refused > 8


@contextmanager
def failing(error: Exception) -> Iterator[None]:
    """Every view raises this, instead of what it does."""

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    with patch("django.core.handlers.base.BaseHandler.make_view_atomic", lambda self, view: fail):
        yield


@pytest.mark.parametrize(
    ("error", "status"),
    [(PermissionDenied(), 403), (Http404(), 404), (OperationalError(), 503), (RuntimeError(), 500)],
    ids=["not allowed", "gone", "no database", "a fault of ours"],
)
def test_a_refusal_of_any_view_loses_nothing_of_any_form(world: World, error: Exception, status: int) -> None:
    def post(viewer: str, address: str, typed: dict[str, str]) -> Any:
        with failing(error):
            return same_browser(world, viewer).post(address, typed)

    assert sweep(world, post, {status}) == {}


def test_what_people_write_in_has_a_label_on_the_page_that_gives_it_back(world: World) -> None:
    written = {
        name
        for (_, address), fields in forms_of(world).items()
        if not address.startswith(ADMIN)
        for name, kinds in fields.items()
        if kinds & (WRITTEN | {"password"})
    }
    assert written - set(LABELS) == set()


def test_a_limit_keeps_what_was_typed_in_sight(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "members", "1/h/user")
    client = client_of(cast.owner)
    fields = {"username": {"text"}, "page": {"hidden"}}
    pages = [client.post("/rooms/attic/members/", typed_into(fields)) for _ in range(2)]
    assert pages[1].status_code == 429
    assert losses(fields, pages[1].content.decode()) == []


def test_a_form_with_a_stale_token_can_be_sent_again_as_it_is(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    client.cookies["csrftoken"] = "b" * 32
    typed = {"name": "Cellar", "topic": "Wine & cheese", "access": "private", "csrfmiddlewaretoken": "a" * 32}
    answer = client.post("/rooms/new/", typed)
    assert answer.status_code == 403
    again = {name: value for name, value, _ in Values(answer.content.decode()).held}
    assert "member" in answer.content.decode()
    assert client.post("/rooms/new/", again).status_code == 302
    room = Room.objects.get(name="Cellar")
    assert (room.topic, room.access) == ("Wine & cheese", Room.Access.PRIVATE)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
    ],
)
@pytest.mark.parametrize("address", ["/rooms/new/", "/nowhere/"])
def test_a_form_of_another_site_is_not_made_one_of_ours(cast: Cast, headers: dict[str, str], address: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.owner)
    client.cookies["csrftoken"] = "a" * 32
    answer = client.post(address, {"name": "Planted text", "access": "public"}, headers=headers)
    page = answer.content.decode()
    assert answer.status_code in {403, 404}
    assert "Planted" not in page
    assert f'action="{address}"' not in page


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://testserver"}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_form_of_ours_is_given_back(rf: RequestFactory, headers: dict[str, str]) -> None:
    kept = kept_of(rf.post("/", {"body": "Kept"}, headers=headers))
    assert kept
    assert [(one.name, one.value) for one in kept.fields] == [("body", "Kept")]


def test_a_password_is_asked_for_again_and_never_shown() -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "b" * 32
    page = client.post("/accounts/login/", {"login": "ada", "password": "my secret"}).content.decode()
    assert "my secret" not in page
    assert ("password", "", True) in Values(page).held
    assert ("login", "ada", True) in Values(page).held


def test_a_file_has_to_be_chosen_again(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    answer = client.post("/accounts/profile/picture/", {"picture": SimpleUploadedFile("a.png", b"a")})
    page = answer.content.decode()
    assert ("picture", "", True) in Values(page).held
    assert 'enctype="multipart/form-data"' in page


def test_a_page_that_was_only_looked_at_gives_nothing_back() -> None:
    assert 'id="kept-' not in Client().get("/nowhere/?body=Hello+you").content.decode()


def test_in_the_live_views_frame_the_text_comes_back_within_it(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    answer = client.post("/rooms/attic/messages/", {"body": "Kept", "frame": "", "client_id": "x"})
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert ("body", "Kept", True) in Values(answer.content.decode()).held
    assert "site-header" not in answer.content.decode()
    elsewhere = client.post("/rooms/attic/messages/", {"body": "Kept", "client_id": "x"})
    assert "frame-ancestors 'none'" in elsewhere.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("body", "held"), [("half a \ud800 character", "half a  character"), ("a NUL \x00", "a NUL ")])
def test_what_no_page_can_hold_is_left_out_of_it(rf: RequestFactory, body: str, held: str) -> None:
    request: Any = rf.post("/", {})
    request.POST = QueryDict(mutable=True)
    request.POST["body"], request.user = body, None
    kept = kept_of(request)
    assert kept
    assert [one.value for one in kept.fields] == [held]
    assert problem(request, 403, "No", "Why").status_code == 403

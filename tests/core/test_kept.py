"""
Whatever form is refused, for whatever reason, the error page returns everything typed except passwords.

The forms are found on the pages, so new ones are covered automatically.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, transaction
from django.http import Http404, QueryDict
from django.test import Client, RequestFactory

from apps.core import limits
from apps.core.kept import LABELS, kept_of
from apps.core.views import no_database, problem
from apps.rooms.models import Room
from tests.conftest import Cast, client_of
from tests.core.form_pages import WRITTEN, Values, forms_of, losses, typed_into
from tests.core.world import World

pytestmark = pytest.mark.django_db

# The admin's pages name their fields after database columns; they are the only exception.
ADMIN = "/admin/"


def sweep(world: World, post: Callable[[str, str, dict[str, str]], Any], statuses: set[int]) -> dict[str, Any]:
    """Post every form; returns those that lost something or got an unexpected status."""
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
    """A client with the viewer's cookies that raises no exceptions, and checks CSRF tokens if `checks`."""
    client = Client(enforce_csrf_checks=checks, raise_request_exception=False)
    client.cookies.update(world.clients[viewer].cookies)
    return client


def test_a_stale_token_loses_no_forms_values(world: World) -> None:
    def post(viewer: str, address: str, typed: dict[str, str]) -> Any:
        client = same_browser(world, viewer, checks=True)
        client.cookies["csrftoken"] = "b" * 32
        return client.post(address, typed | {"csrfmiddlewaretoken": "a" * 32})

    assert sweep(world, post, {403}) == {}


def test_an_expired_session_loses_no_forms_values(world: World) -> None:
    found = {}
    for (viewer, address), fields in forms_of(world).items():
        if viewer == "anonymous" or address.startswith(ADMIN) or not any(kinds & WRITTEN for kinds in fields.values()):
            continue
        answer = Client().post(address, typed_into(fields))
        lost = answer.headers.get("Location") or losses(fields, answer.content.decode())
        if lost:
            found[address] = lost
    assert found == {}


def test_signing_in_after_any_form_leads_to_a_page(world: World) -> None:
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
def test_signing_in_after_pressing_a_button_returns_to_its_page(cast: Cast, referer: str, place: str) -> None:
    answer = Client().post("/rooms/attic/join/", headers={"Referer": referer})
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["next"] == [place]


def test_a_refused_forms_page_says_so_in_its_title(world: World) -> None:
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
    """Make every view raise this error."""

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    with patch("django.core.handlers.base.BaseHandler.make_view_atomic", lambda self, view: fail):
        yield


@pytest.mark.parametrize(
    ("error", "status"),
    [(PermissionDenied(), 403), (Http404(), 404), (OperationalError(), 503), (RuntimeError(), 500)],
    ids=["not allowed", "gone", "no database", "server error"],
)
def test_a_refusal_by_any_view_loses_no_forms_values(world: World, error: Exception, status: int) -> None:
    def post(viewer: str, address: str, typed: dict[str, str]) -> Any:
        with failing(error):
            return same_browser(world, viewer).post(address, typed)

    assert sweep(world, post, {status}) == {}


def test_every_text_field_has_a_label_on_the_page_that_returns_it(world: World) -> None:
    written = {
        name
        for (_, address), fields in forms_of(world).items()
        if not address.startswith(ADMIN)
        for name, kinds in fields.items()
        if kinds & (WRITTEN | {"password"})
    }
    assert written - set(LABELS) == set()


def test_a_rate_limit_shows_the_typed_values(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "members", "1/h/user")
    client = client_of(cast.owner)
    fields = {"username": {"text"}, "page": {"hidden"}}
    pages = [client.post("/rooms/attic/members/", typed_into(fields)) for _ in range(2)]
    assert pages[1].status_code == 429
    assert losses(fields, pages[1].content.decode()) == []


def test_a_form_with_a_stale_token_can_be_sent_again_unchanged(cast: Cast) -> None:
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
def test_a_form_of_another_site_is_not_returned(cast: Cast, headers: dict[str, str], address: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.owner)
    client.cookies["csrftoken"] = "a" * 32
    answer = client.post(address, {"name": "Planted text", "access": "public"}, headers=headers)
    page = answer.content.decode()
    assert answer.status_code in {403, 404}
    assert "Planted" not in page
    assert f'action="{address}"' not in page


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://testserver"}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_form_of_this_site_is_returned(rf: RequestFactory, headers: dict[str, str]) -> None:
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


def test_a_get_request_returns_no_values() -> None:
    assert 'id="kept-' not in Client().get("/nowhere/?body=Hello+you").content.decode()


def test_in_the_live_views_frame_the_text_is_returned_in_the_frame(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    answer = client.post("/rooms/attic/messages/", {"body": "Kept", "frame": "", "client_id": "x"})
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert ("body", "Kept", True) in Values(answer.content.decode()).held
    assert "site-header" not in answer.content.decode()
    elsewhere = client.post("/rooms/attic/messages/", {"body": "Kept", "client_id": "x"})
    assert "frame-ancestors 'none'" in elsewhere.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("body", "held"), [("half a \ud800 character", "half a  character"), ("a NUL \x00", "a NUL ")])
def test_characters_a_page_cannot_contain_are_left_out(rf: RequestFactory, body: str, held: str) -> None:
    request: Any = rf.post("/", {})
    request.POST = QueryDict(mutable=True)
    request.POST["body"], request.user = body, None
    kept = kept_of(request)
    assert kept
    assert [one.value for one in kept.fields] == [held]
    assert problem(request, 403, "No", "Why").status_code == 403


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"body": "Kept", "client_id": "x"}, "It will be stored once, however often you send it."),
        ({"body": "Kept", "client_id": ""}, "Please send this again in a moment."),
        ({"name": "Kept"}, "Please send this again in a moment."),
        ({f"body-{number}": "Too many to be read" for number in range(200)}, "Please try again in a moment."),
    ],
    ids=["message", "no id", "another form", "unreadable"],
)
def test_without_a_database_only_a_returned_message_is_called_safe_to_repeat(
    rf: RequestFactory, fields: dict[str, str], sentence: str
) -> None:
    answer = no_database(rf.post("/", fields))
    assert answer.status_code == 503
    assert sentence in answer.content.decode()


LONG_ENOUGH = {"body": "Too long to be given back. " * 10_000, "client_id": "x"}
NOT_GIVEN_BACK = "What you sent is too long to be given back on this page. Go back"


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, 403), (PermissionDenied(), 403), (OperationalError(), 503), (OperationalError("database is locked"), 503)],
    ids=["stale token", "not allowed", "no database", "busy"],
)
def test_a_text_too_long_to_return_is_reported(cast: Cast, error: Exception | None, status: int) -> None:
    client = Client(enforce_csrf_checks=error is None, raise_request_exception=False)
    client.force_login(cast.member)
    with failing(error) if error else nullcontext():
        answer = client.post("/rooms/attic/messages/", LONG_ENOUGH)
    page = answer.content.decode()
    assert answer.status_code == status
    assert NOT_GIVEN_BACK in page
    assert "Nothing that was sent is lost" not in page


def test_a_signed_out_user_is_not_told_to_resend_a_text_that_is_gone(cast: Cast) -> None:
    page = Client().post("/rooms/attic/messages/", LONG_ENOUGH).content.decode()
    assert NOT_GIVEN_BACK in page
    assert "from here" not in page


def test_a_long_form_of_another_site_is_not_mentioned(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    answer = client.post("/rooms/attic/messages/", LONG_ENOUGH, headers={"Sec-Fetch-Site": "cross-site"})
    assert NOT_GIVEN_BACK not in answer.content.decode()

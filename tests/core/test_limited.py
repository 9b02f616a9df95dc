"""Rate limits: every view that changes something has one, and says what to do beyond it."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account import app_settings
from allauth.core.internal.ratelimit import parse_rates
from asgiref.sync import async_to_sync
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from apps.accounts.models import Invitation, User
from apps.core import limits
from apps.core.limited import limited
from apps.rooms import services as rooms
from apps.rooms.models import FormerSlug, Room
from tests.conftest import Cast, client_of, make_user

pytestmark = pytest.mark.django_db

POSTS = "uses the user's allowance (apps/live/limits.py)"
OWN = "django-allauth counts it"
# Views that take a POST and are not `limited`, each with the reason.
NOT_LIMITED = {
    "post_message": POSTS,
    "edit_message": POSTS,
    "delete_message": POSTS,
    "read_room": POSTS,
    "account_login": OWN,
    "account_signup": OWN,
    "account_request_login_code": OWN,
    "account_reauthenticate": OWN,
    "reauthenticate_by_code": OWN,
    "account_email": OWN,
    "account_change_password": OWN,
    "account_set_password": OWN,
    "account_reset_password": OWN,
    "account_reset_password_from_key": OWN,
    "account_confirm_login_code": OWN + ": three attempts per code",
    "account_email_verification_sent": OWN + ": attempts per code, and mails",
    "account_confirm_email": "needs a signed key, and works once",
    "account_logout": "only ends the user's own session",
    "mfa_authenticate": OWN + " as a failed sign-in",
    "mfa_reauthenticate": OWN + " as a failed sign-in",
    "mfa_reauthenticate_webauthn": OWN + " as a failed sign-in",
    "mfa_login_webauthn": OWN,
    "mfa_download_recovery_codes": "changes nothing",
    "set_language": "sets a cookie",
    "openid_connect_login": "only stores a state in the session",
    "openid_connect_callback": "needs a state, which works once",
}
ELSEWHERE = {
    "/admin/": "for the site's owners",
    "/accounts/social/": "redirects to these pages' new addresses",
}


def all_patterns(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from all_patterns(one.url_patterns, prefix + str(one.pattern))
        else:
            yield prefix + str(one.pattern), one


def example_of(route: str) -> str:
    """An address that matches the route."""
    route = re.sub(r"\(\?P<\w+>[^)]*\)", "x", route.replace("^", "").replace("$", ""))
    examples = {"int": "1", "str": "attic", "uuid": str(uuid.uuid4()), "path": "x"}
    return re.sub(r"<(\w+):\w+>", lambda found: examples[found[1]], route)


def test_every_view_that_accepts_a_post_has_a_rate_limit_or_a_reason(cast: Cast) -> None:
    seen: set[str] = set()
    undecided, needless = [], set(NOT_LIMITED)
    for route, pattern in all_patterns(get_resolver().url_patterns):
        address = example_of(route)
        if address in seen or address.startswith(tuple(ELSEWHERE)):
            continue
        seen.add(address)
        with transaction.atomic():
            owner = make_user("site-owner", role=User.Role.OWNER)
            client = client_of(owner)
            client.raise_request_exception = False
            status = client.post(address).status_code
            transaction.set_rollback(True)
        if status == 405:
            continue
        name = pattern.name or route
        needless.discard(name)
        if not hasattr(pattern.callback, "limited_by") and name not in NOT_LIMITED:
            undecided.append(name)
    assert undecided == []
    assert len(seen) > 60
    # Without a provider or mail, these pages don't exist here.
    assert {name for name in needless if not name.startswith(("openid", "account_"))} == set()


@pytest.mark.parametrize(
    ("action", "least", "seconds"), [("rooms", 30, 3600), ("invitations_followed", 60, 3600), ("signup", 60, 3600)]
)
def test_limits_are_not_lower_than_promised(action: str, least: int, seconds: int) -> None:
    for rate in parse_rates((limits.RATES | limits.ACCOUNT_RATES)[action]):
        # It may all be used at once.
        assert rate.amount >= least * max(1, rate.duration / seconds)


def test_every_rate_limit_of_django_allauth_is_among_ours(settings: Settings) -> None:
    ours = set(settings.ACCOUNT_RATE_LIMITS)
    settings.ACCOUNT_RATE_LIMITS = {}
    assert set(app_settings.RATE_LIMITS) <= ours


def new_room(client: Client, name: str) -> Any:
    return client.post("/rooms/new/", {"name": name, "topic": "All & sundry", "access": "open"})


@pytest.fixture
def one_room_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limit, so that tests exceed it quickly."""
    monkeypatch.setitem(limits.RATES, "rooms", "1/h/user")


def test_creating_too_many_rooms_says_in_the_form_when_to_continue(cast: Cast, one_room_an_hour: None) -> None:
    client = client_of(cast.member)
    assert new_room(client, "One").status_code == 302
    answer = new_room(client, "Two <b>")
    page = answer.content.decode()
    assert answer.status_code == 429
    assert "You can go on in" in page
    assert 'value="Two &lt;b&gt;"' in page
    assert 'value="All &amp; sundry"' in page
    assert not Room.objects.filter(name__startswith="Two").exists()


def test_form_errors_are_reported_before_the_limit(cast: Cast, one_room_an_hour: None) -> None:
    client = client_of(cast.member)
    new_room(client, "One")
    answer = new_room(client, "")
    assert "You can go on in" not in answer.content.decode()


def test_beyond_a_limit_the_page_says_when_to_continue_and_keeps_the_values(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits.RATES, "members", "1/h/user")
    client = client_of(cast.owner)
    client.post("/rooms/attic/members/", {"username": "outsider"})
    answer = client.post("/rooms/attic/members/?page=1", {"username": "<b>\x00", "csrfmiddlewaretoken": "old"})
    page = answer.content.decode()
    assert answer.status_code == 429
    assert "You can go on in 60 minutes." in page
    assert 'action="/rooms/attic/members/?page=1"' in page
    assert 'name="username" value="&lt;b&gt;"' in page
    assert 'value="old"' not in page


FORMS = {
    "rooms": ("/rooms/new/", {"name": "New", "topic": "", "access": "open"}),
    "room_details": ("/rooms/attic/settings/", {"name": "Attic", "topic": "New", "access": "private"}),
    "invitations": ("/rooms/attic/invitations/", {"note": "New", "days": "7", "most_uses": "1"}),
    "profile": ("/accounts/profile/", {"display_name": "New"}),
}


@pytest.mark.parametrize("action", FORMS)
def test_forms_that_report_the_limit_themselves_change_nothing_beyond_it(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setitem(limits.RATES, action, "1/h/user")
    address, form = FORMS[action]
    client = client_of(cast.owner)
    assert client.post(address, form).status_code in {200, 302}
    before = everything()
    answer = client.post(address, {name: value.replace("New", "Newer") for name, value in form.items()})
    assert answer.status_code == 429
    assert answer.content.decode().count("You can go on in") == 1
    assert everything() == before


def everything() -> list[object]:
    """The data that those forms change."""
    tables = (Room.objects.values_list("name", "topic"), Invitation.objects.values_list("note"))
    return [list(table.order_by("pk")) for table in (*tables, User.objects.values_list("display_name", "username"))]


def test_the_wait_is_given_in_minutes_and_to_programs_in_seconds(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "rooms", "2/h/user")
    client = client_of(cast.member)
    now = [1_000_000.0]
    monkeypatch.setattr("allauth.core.internal.ratelimit.time.time", lambda: now[0])
    for name in ("One", "Two"):
        assert new_room(client, name).status_code == 302
        now[0] += 600
    answer = new_room(client, "Three")
    assert answer.headers["Retry-After"] == str(3600 - 1200)
    assert "in 40 minutes" in answer.content.decode()
    now[0] += 3600 - 1200
    assert new_room(client, "Three").status_code == 302


def test_a_refused_attempt_does_not_count(cast: Cast, one_room_an_hour: None) -> None:
    client = client_of(cast.member)
    assert new_room(client, "").status_code == 422
    assert new_room(client, "One").status_code == 302


def test_reading_is_not_limited(cast: Cast, one_room_an_hour: None) -> None:
    client = client_of(cast.member)
    new_room(client, "One")
    assert {client.get("/rooms/new/").status_code for _ in range(3)} == {200}
    assert {client.head("/rooms/new/").status_code for _ in range(3)} == {200}


def test_each_user_has_their_own_limit(cast: Cast, one_room_an_hour: None) -> None:
    new_room(client_of(cast.member), "One")
    assert new_room(client_of(cast.owner), "Two").status_code == 302


def test_each_action_has_its_own_limit(cast: Cast, one_room_an_hour: None) -> None:
    client = client_of(cast.member)
    new_room(client, "One")
    assert client.post("/rooms/one/leave/").status_code == 302


def test_joining_and_leaving_share_a_limit(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "joining", "2/h/user")
    cast.open()
    client = client_of(cast.outsider)
    statuses = [client.post(f"/rooms/attic/{verb}/").status_code for verb in ("join", "leave", "join")]
    assert statuses == [302, 302, 429]


def test_unknown_usernames_count_too(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "members", "2/h/user")
    client = client_of(cast.owner)
    statuses = [client.post("/rooms/attic/members/", {"username": f"x{n}"}).status_code for n in range(3)]
    assert statuses == [422, 422, 429]


def test_an_async_view_is_limited_in_the_same_way(rf: RequestFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "rooms", "1/h/user")
    user = make_user("ada")
    statuses = iter([422, 204, 204])

    @limited("rooms")
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=next(statuses))

    def send(method: str = "post") -> int:
        request = getattr(rf, method)("/")
        request.user = user
        return int(async_to_sync(view)(request).status_code)

    assert [send(), send(), send()] == [422, 204, 429]
    assert send("get") == 204


def test_a_room_keeps_only_its_last_former_addresses(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FORMER_SLUGS", 3)
    for number in range(6):
        rooms.change_details(room=cast.room, name=f"Name {number}", topic="", access=cast.room.access)
    kept = FormerSlug.objects.order_by("pk").values_list("slug", flat=True)
    assert list(kept) == ["name-2", "name-3", "name-4"]
    client = client_of(cast.member)
    assert client.get("/rooms/name-2/").status_code == 301
    assert client.get("/rooms/attic/").status_code == 404

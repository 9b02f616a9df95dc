"""What htmx is answered carries a mark: parts of pages, and words. Nothing else does."""

from typing import Any
from unittest.mock import patch

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from django.test import Client

from apps.accounts.models import User
from apps.core import limits
from tests.conftest import Cast, client_of, say
from tests.core.test_kept import failing
from tests.core.world import VIEWERS, World

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def mark(answer: Any) -> tuple[str | None, str | None]:
    return answer.headers.get("Parley-Answer"), answer.headers.get("Parley-Viewer")


@pytest.mark.parametrize("viewer", VIEWERS)
def test_of_all_that_htmx_can_ask_for_just_the_parts_of_pages_are_marked(world: World, viewer: str) -> None:
    wrong, parts = [], set()
    client = world.clients[viewer]
    own = client.session.get("_auth_user_id", "")
    for name, path in world.addresses():
        answer = client.get(path, headers=HTMX)
        if answer.status_code != 200 or not answer.headers["Content-Type"].startswith("text/html"):
            continue
        is_part = "<!doctype html>" not in answer.content.decode().lower()
        if is_part:
            parts.add(name)
        if mark(answer) != (("fragment", own) if is_part else (None, None)):
            wrong.append((name, is_part, mark(answer)))
        # Nor is the page a browser gets.
        assert mark(client.get(path)) == (None, None), name
    assert wrong == []
    assert parts >= {"home", "keys", "room", "message"}


def test_a_part_of_a_page_says_that_others_get_the_whole(cast: Cast) -> None:
    client = client_of(cast.member)
    message = say(cast.room, cast.member)
    for path in ("/", "/keys/", "/rooms/attic/", f"/rooms/attic/messages/{message.pk}/"):
        for headers in (HTMX, {}):
            assert "HX-Request" in client.get(path, headers=headers).headers["Vary"]


def test_a_form_with_its_errors_is_a_part_too(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    answer = client_of(cast.member).post(f"/rooms/attic/messages/{message.pk}/edit/", {"body": ""}, headers=HTMX)
    assert (answer.status_code, mark(answer)) == (422, ("fragment", str(cast.member.pk)))


@pytest.mark.parametrize("verb", ["edit", "delete"])
def test_that_a_change_is_done_is_marked(cast: Cast, verb: str) -> None:
    message = say(cast.room, cast.member)
    answer = client_of(cast.member).post(f"/rooms/attic/messages/{message.pk}/{verb}/", {"body": "New"}, headers=HTMX)
    assert (answer.status_code, mark(answer)) == (204, ("fragment", str(cast.member.pk)))


def test_a_frame_that_comes_by_the_forms_address_is_marked(cast: Cast) -> None:
    answer = client_of(cast.member).post("/rooms/attic/messages/", {"body": "", "client_id": "x"}, headers=HTMX)
    assert (answer.status_code, mark(answer)[0]) == (422, "fragment")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (PermissionDenied(), 403, "You may not do that. If you think"),
        (Http404(), 404, "There is nothing here. The address"),
        (OperationalError(), 503, "Our database does not answer. It should"),
        (RuntimeError(), 500, "Something went wrong on our side. It has"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_refusal_is_words_that_are_no_page(
    cast: Cast, error: Exception, status: int, words: str, method: str
) -> None:
    client = client_of(cast.member)
    client.raise_request_exception = False
    with failing(error):
        answer = getattr(client, method)("/rooms/attic/", headers=HTMX)
    assert (answer.status_code, mark(answer)[0]) == (status, "refusal")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode().startswith(words)
    assert "<" not in answer.content.decode()


def test_a_stale_token_is_words(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    message = say(cast.room, cast.member)
    answer = client.post(f"/rooms/attic/messages/{message.pk}/edit/", {"body": "New"}, headers=HTMX)
    assert (answer.status_code, mark(answer)[0]) == (403, "refusal")
    assert answer.content.decode().startswith("This form is no longer valid.")


def test_a_limit_is_words(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "members", "1/h/user")
    client = client_of(cast.owner)
    answers = [client.post("/rooms/attic/members/", {"username": "outsider"}, headers=HTMX) for _ in range(2)]
    assert (answers[1].status_code, mark(answers[1])[0]) == (429, "refusal")
    assert "You can go on in 60 minutes." in answers[1].content.decode()
    assert "Retry-After" in answers[1].headers


@pytest.mark.parametrize("verb", ["edit", "delete"])
def test_who_is_signed_out_is_told_so_and_not_led_to_another_page(cast: Cast, verb: str) -> None:
    message = say(cast.room, cast.member)
    answer = Client().post(f"/rooms/attic/messages/{message.pk}/{verb}/", {"body": "New"}, headers=HTMX)
    assert (answer.status_code, mark(answer)[0]) == (403, "signed-out")
    assert answer.content.decode() == "You are signed out. Sign in in another tab, then try again here."


def test_the_rooms_of_nobody_say_that_they_are_nobodys(cast: Cast) -> None:
    assert mark(Client().get("/", headers=HTMX)) == ("fragment", "")


def test_that_a_second_factor_is_needed_is_no_part_of_a_page(cast: Cast) -> None:
    User.objects.filter(pk=cast.owner.pk).update(role="owner")
    with patch("apps.accounts.middleware.lacks_one", return_value=True):
        answer = client_of(cast.owner).get("/", headers=HTMX)
    assert (answer.status_code, mark(answer)) == (403, ("refusal", None))


def test_a_room_that_has_moved_leads_on(cast: Cast) -> None:
    client = client_of(cast.owner)
    client.post("/rooms/attic/settings/", {"name": "Cellar", "topic": "", "access": "private"})
    answer = client.get("/rooms/attic/?before=5", headers=HTMX)
    assert (answer.status_code, mark(answer)) == (301, (None, None))
    assert mark(client.get("/rooms/attic/?before=5", headers=HTMX, follow=True)) == ("fragment", str(cast.owner.pk))


def test_a_browser_that_shows_pages_is_led_to_sign_in_as_before(cast: Cast) -> None:
    answer = Client().get("/rooms/new/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/?next=/rooms/new/")
    # A button alone has nothing to lose.
    answer = Client().post("/rooms/attic/join/", {})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/?next=/")

"""Answers to htmx are marked as fragments or refusals; nothing else is marked."""

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
def test_of_all_answers_to_htmx_only_fragments_are_marked(world: World, viewer: str) -> None:
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
        # The page a browser gets is not marked either.
        assert mark(client.get(path)) == (None, None), name
    assert wrong == []
    assert parts >= {"home", "keys", "room", "message"}


def test_pages_with_fragments_vary_by_the_htmx_header(cast: Cast) -> None:
    client = client_of(cast.member)
    message = say(cast.room, cast.member)
    for path in ("/", "/keys/", "/rooms/attic/", f"/rooms/attic/messages/{message.pk}/"):
        for headers in (HTMX, {}):
            assert "HX-Request" in client.get(path, headers=headers).headers["Vary"]


def test_a_form_with_errors_is_a_fragment_too(cast: Cast) -> None:
    message = say(cast.room, cast.member)
    answer = client_of(cast.member).post(f"/rooms/attic/messages/{message.pk}/edit/", {"body": ""}, headers=HTMX)
    assert (answer.status_code, mark(answer)) == (422, ("fragment", str(cast.member.pk)))


@pytest.mark.parametrize("verb", ["edit", "delete"])
def test_the_answer_to_a_finished_change_is_marked(cast: Cast, verb: str) -> None:
    message = say(cast.room, cast.member)
    answer = client_of(cast.member).post(f"/rooms/attic/messages/{message.pk}/{verb}/", {"body": "New"}, headers=HTMX)
    assert (answer.status_code, mark(answer)) == (204, ("fragment", str(cast.member.pk)))


def test_a_frame_sent_as_answer_to_a_form_is_marked(cast: Cast) -> None:
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
def test_a_refusal_is_plain_text(cast: Cast, error: Exception, status: int, words: str, method: str) -> None:
    client = client_of(cast.member)
    client.raise_request_exception = False
    with failing(error):
        answer = getattr(client, method)("/rooms/attic/", headers=HTMX)
    assert (answer.status_code, mark(answer)[0]) == (status, "refusal")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode().startswith(words)
    assert "<" not in answer.content.decode()


def test_a_stale_token_is_answered_in_plain_text(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.member)
    message = say(cast.room, cast.member)
    answer = client.post(f"/rooms/attic/messages/{message.pk}/edit/", {"body": "New"}, headers=HTMX)
    assert (answer.status_code, mark(answer)[0]) == (403, "refusal")
    assert answer.content.decode().startswith("This form is no longer valid.")


def test_a_limit_is_answered_in_plain_text(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "members", "1/h/user")
    client = client_of(cast.owner)
    answers = [client.post("/rooms/attic/members/", {"username": "outsider"}, headers=HTMX) for _ in range(2)]
    assert (answers[1].status_code, mark(answers[1])[0]) == (429, "refusal")
    assert "You can go on in 60 minutes." in answers[1].content.decode()
    assert "Retry-After" in answers[1].headers


@pytest.mark.parametrize("verb", ["edit", "delete"])
def test_a_signed_out_user_is_told_so_instead_of_redirected(cast: Cast, verb: str) -> None:
    message = say(cast.room, cast.member)
    answer = Client().post(f"/rooms/attic/messages/{message.pk}/{verb}/", {"body": "New"}, headers=HTMX)
    assert (answer.status_code, mark(answer)[0]) == (403, "signed-out")
    assert answer.content.decode() == "You are signed out. Sign in in another tab, then try again here."


def test_the_room_list_of_a_stranger_is_marked_as_theirs(cast: Cast) -> None:
    assert mark(Client().get("/", headers=HTMX)) == ("fragment", "")


def test_a_missing_second_factor_is_a_refusal_not_a_fragment(cast: Cast) -> None:
    User.objects.filter(pk=cast.owner.pk).update(role="owner")
    with patch("apps.accounts.middleware.lacks_one", return_value=True):
        answer = client_of(cast.owner).get("/", headers=HTMX)
    assert (answer.status_code, mark(answer)) == (403, ("refusal", None))


def test_a_renamed_room_redirects_htmx(cast: Cast) -> None:
    client = client_of(cast.owner)
    client.post("/rooms/attic/settings/", {"name": "Cellar", "topic": "", "access": "private"})
    answer = client.get("/rooms/attic/?before=5", headers=HTMX)
    assert (answer.status_code, mark(answer)) == (301, (None, None))
    assert mark(client.get("/rooms/attic/?before=5", headers=HTMX, follow=True)) == ("fragment", str(cast.owner.pk))


def test_a_browser_without_htmx_is_redirected_to_sign_in(cast: Cast) -> None:
    answer = Client().get("/rooms/new/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/?next=/rooms/new/")
    # A form with only a button has no text to lose.
    answer = Client().post("/rooms/attic/join/", {})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/?next=/")

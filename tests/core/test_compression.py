"""Which answers are compressed, and that their length reveals nothing."""

import gzip
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory

from apps.accounts.models import User
from apps.core.middleware import CompressionMiddleware
from tests.conftest import Cast, client_of, confirm_password, make_user, sign_up

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


Answer = TypeVar("Answer", bound=HttpResponseBase)


def compressed(answer: Answer) -> Answer:
    """The answer after the middleware, for a browser that accepts gzip."""
    middleware = CompressionMiddleware(lambda request: answer)
    found: Answer = middleware.process_response(RequestFactory().get("/", headers=GZIP), answer)  # type: ignore[assignment]
    return found


def test_a_page_is_compressed_for_clients_that_accept_it_and_is_the_same(cast: Cast) -> None:
    client = client_of(cast.member)
    plain, packed = client.get("/keys/"), client.get("/keys/", headers=GZIP)
    assert gzip.decompress(packed.content) == plain.content
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Length"] == str(len(packed.content))
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_a_fragment_for_htmx_is_compressed_and_keeps_its_mark(cast: Cast) -> None:
    answer = client_of(cast.member).get("/keys/", headers=GZIP | {"HX-Request": "true"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Parley-Answer"] == "fragment"


def test_the_same_page_has_varying_lengths() -> None:
    lengths = {len(compressed(HttpResponse("the same " * 100)).content) for _ in range(20)}
    assert len(lengths) > 1


@pytest.mark.parametrize("path", ["/accounts/2fa/", "/accounts/profile/", "/invitations/", "/site/", "/accounts/data/"])
def test_a_page_with_secrets_is_not_compressed(path: str, db: None) -> None:
    answer = client_of(make_user("boss", role=User.Role.OWNER)).get(path, headers=GZIP)
    assert answer.status_code == 200
    assert len(answer.content) > 1000
    assert "Content-Encoding" not in answer.headers


def pieces() -> Iterator[bytes]:
    yield b"<p>One.</p>" * 100
    yield b"<p>Two.</p>" * 100


@pytest.mark.parametrize(
    "make",
    [
        lambda: StreamingHttpResponse(pieces()),
        lambda: HttpResponse(b"\0" * 1000, content_type="image/webp"),
        lambda: HttpResponse(b"\0" * 1000, content_type="application/zip"),
        lambda: HttpResponse("ok"),
        lambda: HttpResponse(b"x" * 1000, headers={"Content-Encoding": "br"}),
    ],
    ids=["streamed", "a picture", "an archive", "too short", "already compressed"],
)
def test_streams_and_incompressible_or_tiny_answers_are_left_alone(make: Callable[[], HttpResponse]) -> None:
    before, after = make(), compressed(make())
    assert b"".join(after) == b"".join(before)
    assert after.headers.get("Content-Encoding") == before.headers.get("Content-Encoding")


def test_a_strong_etag_becomes_a_weak_one() -> None:
    answer = compressed(HttpResponse("the same " * 100, headers={"ETag": '"1"'}))
    assert answer.headers["ETag"] == 'W/"1"'


def test_the_data_archive_is_not_compressed_again(db: None) -> None:
    client, _ = sign_up("ada")
    confirm_password(client)
    answer = client.post("/accounts/data/download/", headers=GZIP)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    assert "Content-Encoding" not in answer.headers

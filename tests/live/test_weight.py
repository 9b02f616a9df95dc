"""The bytes of a room's page on the wire, and the caching of its files, on a site as `make run` starts it."""

import gzip
import http.client
import re
from collections.abc import Iterator

import pytest

from bench import weight
from tests import install
from tests.servers import Site


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Site, str]]:
    with weight.collected_site() as (site, key):
        yield site, key


def ask(site: Site, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def files_of(site: Site, key: str) -> list[str]:
    """The static files that a room's page loads."""
    _, page = ask(site, "/rooms/room-001/", Cookie=f"sessionid={key}")
    found = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.decode())
    assert len(found) > 4
    return found


def test_a_room_page_and_the_next_one_stay_within_their_byte_budgets(filled: tuple[Site, str]) -> None:
    if not install.headless_browser():
        pytest.skip("no Chromium is installed")
    cold, warm = weight.room_pages(*filled)
    assert cold.total <= weight.MAX_COLD_BYTES, cold
    assert warm.total <= weight.MAX_NEXT_BYTES, warm
    # The page, and its socket.
    assert set(warm.kinds) == {"Document", "WebSocket"}


def test_each_static_file_of_a_page_is_cached_forever_and_compressed(filled: tuple[Site, str]) -> None:
    for path in files_of(*filled):
        answer, packed = ask(filled[0], path, Accept_Encoding="gzip")
        assert answer.getheader("Cache-Control") == "max-age=315360000, public, immutable"
        assert answer.getheader("Content-Encoding") == "gzip"
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert not {"Set-Cookie", "Content-Security-Policy", "Permissions-Policy"} & set(answer.headers)
        answer, plain = ask(filled[0], path)
        assert answer.getheader("Content-Encoding") is None
        assert gzip.decompress(packed) == plain


def test_an_unchanged_file_is_not_sent_again(filled: tuple[Site, str]) -> None:
    path = files_of(*filled)[0]
    answer, _ = ask(filled[0], path, Accept_Encoding="gzip")
    again, body = ask(filled[0], path, Accept_Encoding="gzip", If_None_Match=answer.getheader("ETag") or "")
    assert (again.status, body) == (304, b"")


def test_a_live_view_is_not_compressed(filled: tuple[Site, str]) -> None:
    site, key = filled
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    headers = {"Cookie": f"sessionid={key}", "Accept-Encoding": "gzip"}
    connection.request("GET", "/rooms/room-001/live/", headers=headers)
    answer = connection.getresponse()
    assert answer.getheader("Content-Encoding") is None
    assert answer.read(9) == b"<!doctype"
    connection.close()


def test_health_checks_are_not_compressed(filled: tuple[Site, str]) -> None:
    answer, body = ask(filled[0], "/livez", Accept_Encoding="gzip")
    assert (answer.getheader("Content-Encoding"), body) == (None, b"ok\n")

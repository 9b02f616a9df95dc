"""Which hosts and origins a real process accepts, and what it logs about them."""

import http.client
import socket
import urllib.parse
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.servers import Site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture(scope="module")
def https_site() -> Iterator[Site]:
    with Site(environment={"SITE_URL": "https://chat.example", "SECRET_KEY": "secret" * 10}) as running:
        yield running


def ask(site: Site, path: str, headers: dict[str, str], body: str | None = None) -> int:
    """The status of an answer to exactly these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.putrequest("GET" if body is None else "POST", path, skip_host=True)
    if body is not None:
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders((body or "").encode())
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_checks_accept_any_host_or_none(site: Site, path: str) -> None:
    assert {ask(site, path, headers) for headers in ({}, {"Host": "10.1.2.3"}, {"Host": "["}, {"Host": ""})} == {200}


def test_a_forged_host_leaves_one_line_in_the_log(site: Site) -> None:
    before = site.log.read_text()
    assert ask(site, "/", {"Host": "evil.example"}) == 400
    written = site.log.read_text().removeprefix(before).splitlines()
    assert len(written) == 1
    assert "evil.example" in written[0]


def statuses_of_a_form(site: Site, host: str, *origins: str) -> list[int]:
    """The statuses for a sign-in form from pages with these origins: 403 for foreign ones."""
    token = "a" * 32
    body = urllib.parse.urlencode({"csrfmiddlewaretoken": token, "login": "ada", "password": "x"})
    headers = {"Host": host, "Cookie": f"csrftoken={token}"}
    return [ask(site, "/accounts/login/", headers | {"Origin": origin}, body) for origin in origins]


def status_of_a_socket(site: Site, host: str, origin: str) -> int:
    """The status for a socket from a page with this origin."""
    address = f"ws://{host}/ws/rooms/lobby/"
    try:
        connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)
        with connect(address, sock=connection, origin=Origin(origin), compression=None):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def test_an_https_site_refuses_its_own_host_over_plain_http(https_site: Site) -> None:
    http, https = "http://chat.example", "https://chat.example"
    assert statuses_of_a_form(https_site, "chat.example", http, https) == [403, 200]
    assert [status_of_a_socket(https_site, "chat.example", origin) for origin in (http, https)] == [403, 101]


@pytest.mark.parametrize("origin", ["http://[", "//[", "http://a]b", "http://127.0.0.1:99999999", "null", "\xff"])
def test_a_malformed_origin_is_refused_without_a_log_entry(site: Site, origin: str) -> None:
    before = site.log.read_text()
    host = f"127.0.0.1:{site.port}"
    assert statuses_of_a_form(site, host, origin) == [403]
    assert status_of_a_socket(site, host, origin) in {400, 403}
    assert site.log.read_text() == before

"""The client address that a request counts under."""

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client, RequestFactory
from pytest_django import Settings

from apps.core.addresses import client_address, network_of
from tests.conftest import PASSWORD, sign_up
from tests.servers import ROOT

PEER = "192.0.2.7"


def addresses(forwarded: str | None) -> set[str]:
    """The addresses found for a page and for a socket from PEER with this header."""
    more: dict[str, Any] = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    request = RequestFactory().get("/", REMOTE_ADDR=PEER, **more)
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode("latin1"))]
    return {client_address(request), client_address({"headers": headers, "client": [PEER, 5000]})}


@pytest.mark.parametrize(
    ("count", "forwarded", "address"),
    [
        (0, "10.0.0.1", PEER),
        (1, "10.0.0.1", "10.0.0.1"),
        (1, "10.9.9.9, 10.0.0.1", "10.0.0.1"),
        (2, "10.9.9.9, 10.0.0.1 ,10.0.0.2", "10.0.0.1"),
        (2, "10.0.0.1", PEER),
        (1, "10.0.0.1:4711", "10.0.0.1"),
        (1, "2001:DB8::1", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, '"[2001:db8::1]:4711"', "2001:db8::1"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_the_address_is_the_one_that_reached_our_outermost_proxy(
    settings: Settings, count: int, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = count
    assert addresses(forwarded) == {address}


NO_ADDRESSES = [None, "", "unknown", "_hidden", ",", "[", "[]:80", "1.2.3.4.5", "::1::", "a" * 5000, "\xff", "%"]


@pytest.mark.parametrize("forwarded", NO_ADDRESSES)
def test_an_invalid_forwarded_address_falls_back_to_the_peers(settings: Settings, forwarded: str | None) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    assert addresses(forwarded) == {PEER}


def test_a_client_on_a_unix_socket_has_an_address_too() -> None:
    request = RequestFactory().get("/")
    del request.META["REMOTE_ADDR"]
    assert {client_address(request), client_address({"headers": [], "client": None})} == {"0.0.0.0"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("count", "forwarded", "address"),
    [
        (1, "unknown", "127.0.0.1"),
        (1, "1.2.3.4, unknown", "127.0.0.1"),
        (2, "10.0.0.1", "127.0.0.1"),
        (1, "1.2.3.4, 10.0.0.1", "10.0.0.1"),
    ],
)
def test_an_odd_forwarded_address_does_not_prevent_signing_in(
    settings: Settings, count: int, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = count
    sign_up("ada")
    UserSession.objects.all().delete()
    answer = Client(headers={"x-forwarded-for": forwarded}).post(
        "/accounts/login/", {"login": "ada", "password": PASSWORD}
    )
    assert answer.status_code == 302
    assert UserSession.objects.get().ip == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
    ],
)
def test_an_ipv6_address_counts_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("pattern", "is_one"), [("2001:db8:1:2::{}", True), ("2001:db8:1:{}::1", False), ("::ffff:192.0.2.{}", False)]
)
def test_signing_in_is_counted_by_network(pattern: str, is_one: bool) -> None:
    statuses = {
        Client(REMOTE_ADDR=pattern.format(number)).post("/accounts/login/", {"login": ""}).status_code
        for number in range(1, 131)
    }
    assert statuses == ({200, 429} if is_one else {200})


def test_processes_listen_on_loopback_by_default() -> None:
    assert "interface=${BIND:-127.0.0.1}:" in (ROOT / "Procfile").read_text()

"""Whom an address stands for."""

import pytest
from django.test import Client

from apps.core.networks import network_of, plain


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_an_address_of_ipv6_counts_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_an_address_of_ipv4_that_came_over_ipv6_is_itself() -> None:
    assert plain("::ffff:192.0.2.7") == "192.0.2.7"
    assert plain("2001:DB8::0:7") == "2001:db8::7"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("pattern", "is_one"), [("2001:db8:1:2::{}", True), ("2001:db8:1:{}::1", False), ("::ffff:192.0.2.{}", False)]
)
def test_signing_in_is_counted_by_network(pattern: str, is_one: bool) -> None:
    statuses = {
        Client(REMOTE_ADDR=pattern.format(number)).post("/accounts/login/", {"login": ""}).status_code
        for number in range(1, 41)
    }
    assert statuses == ({200, 429} if is_one else {200})

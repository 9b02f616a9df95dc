"""Whose request it is, as far as the network tells: the address of a client."""

import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from apps.core import limits

# Where nothing is known, as behind a socket of the file system.
UNKNOWN = "0.0.0.0"  # noqa: S104  # an address, nobody listens there

RequestOrScope = HttpRequest | dict[str, Any]


def client_address(request: RequestOrScope) -> str:
    """
    The address of the client of a request, or of an ASGI scope.

    It is taken from X-Forwarded-For only where TRUSTED_PROXY_COUNT says that proxies of ours wrote it, and only from
    the entry of the outermost of these. Where that is no address, the address of whoever is connected counts.
    """
    if isinstance(request, HttpRequest):
        forwarded, peer = request.headers.get("X-Forwarded-For", ""), request.META.get("REMOTE_ADDR", "")
    else:
        lines = [value for name, value in request["headers"] if name == b"x-forwarded-for"]
        forwarded, peer = b",".join(lines).decode("latin1"), (request.get("client") or [""])[0]
    return forwarded_address(forwarded) or read_address(peer) or UNKNOWN


def forwarded_address(forwarded: str) -> str | None:
    """What the outermost of our own proxies says of who asked it."""
    count = settings.TRUSTED_PROXY_COUNT
    entries = forwarded.rsplit(",", count)
    if not count or len(entries) < count:
        return None
    return read_address(entries[-count])


def read_address(text: str) -> str | None:
    """An address in one way of writing it, from `1.2.3.4`, `1.2.3.4:80`, `::1` and `[::1]:80`; None for all else."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        # Without the name of a network card (fe80::1%eth0), which no column of addresses takes.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def network_of(address: str) -> str:
    """What stands for one household or school in a count: an address of IPv4 itself, of IPv6 its network."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/{limits.IPV6_PREFIX_BITS}", strict=False).network_address)

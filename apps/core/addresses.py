"""The client address behind a request, as far as the network can tell."""

import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from apps.core import limits

# Used when no address is known, for example behind a Unix socket.
UNKNOWN = "0.0.0.0"  # noqa: S104  # never bound

RequestOrScope = HttpRequest | dict[str, Any]


def client_address(request: RequestOrScope) -> str:
    """
    Return the client address for a request or an ASGI scope.

    X-Forwarded-For is trusted only for as many proxies as TRUSTED_PROXY_COUNT says; the entry used is the one that the
    outermost of them wrote. If that is no valid address, the address of the connection counts.
    """
    if isinstance(request, HttpRequest):
        forwarded, peer = request.headers.get("X-Forwarded-For", ""), request.META.get("REMOTE_ADDR", "")
    else:
        lines = [value for name, value in request["headers"] if name == b"x-forwarded-for"]
        forwarded, peer = b",".join(lines).decode("latin1"), (request.get("client") or [""])[0]
    return forwarded_address(forwarded) or read_address(peer) or UNKNOWN


def forwarded_address(forwarded: str) -> str | None:
    """Return the client address that our outermost proxy reported, if any."""
    count = settings.TRUSTED_PROXY_COUNT
    entries = forwarded.rsplit(",", count)
    if not count or len(entries) < count:
        return None
    return read_address(entries[-count])


def read_address(text: str) -> str | None:
    """Normalise an address such as `1.2.3.4`, `1.2.3.4:80`, `::1` or `[::1]:80`; return None for anything else."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        # Drop the zone (fe80::1%eth0): database address columns reject it.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def network_of(address: str) -> str:
    """Return the key to count a household or school under: the IPv4 address itself, or the IPv6 network."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/{limits.IPV6_PREFIX_BITS}", strict=False).network_address)

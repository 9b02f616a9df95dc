"""Whom an address stands for, where something is counted by address."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# Whoever has one address of IPv6 mostly has this many bits of others.
IPV6_PREFIX = 64


def plain(address: str) -> str:
    """The address; one of IPv4 that came over IPv6 (::ffff:192.0.2.1) as itself, whatever is no address as it is."""
    parsed = parse(address)
    return address if parsed is None else str(parsed)


def network_of(address: str) -> str:
    """The address to count by: of IPv4 itself, of IPv6 its network."""
    parsed = parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network(f"{parsed}/{IPV6_PREFIX}", strict=False).network_address)
    return plain(address)


def parse(address: str) -> IPv4Address | IPv6Address | None:
    """The address without its zone, or None where it is none."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed

"""
Names of hosts as they go into the network: in ASCII, by IDNA 2008.

Python's own codec, which Django and the standard library use, follows IDNA 2003: it makes straße.de the host
strasse.de, which may be somebody else's. Browsers and mail programs have moved on.
"""

from email.utils import parseaddr
from urllib.parse import urlsplit

import idna


def ascii_domain(domain: str) -> str:
    """The name in ASCII, in lower case. Raises ValueError for what no host can be called."""
    if domain.isascii():
        return domain.lower()
    # UTS 46, as browsers do it: upper case and full-width letters become what they stand for.
    return idna.encode(domain, uts46=True, transitional=False, std3_rules=True).decode()


def ascii_url(url: str) -> str:
    """The URL with its host in ASCII, as a browser writes it in headers. Raises ValueError."""
    parts = urlsplit(url)
    if parts.netloc.isascii():
        return url
    user, at, host_and_port = parts.netloc.rpartition("@")
    host, colon, port = host_and_port.partition(":")
    return parts._replace(netloc=f"{user}{at}{ascii_domain(host)}{colon}{port}").geturl()


def ascii_sender(sender: str) -> str:
    """The sender of mail, `Name <name@domain>` or the address alone, with its domain in ASCII. Raises ValueError."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    return sender if domain.isascii() else sender.replace(f"@{domain}", f"@{ascii_domain(domain)}")

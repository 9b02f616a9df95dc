"""
Host names in ASCII, by IDNA 2008, as they are used on the network.

Python's own codec, used by Django and the standard library, follows IDNA 2003: it turns straße.de into strasse.de,
which may belong to someone else. Browsers and mail programs have moved on.
"""

from email.utils import parseaddr
from urllib.parse import urlsplit

import idna


def ascii_domain(domain: str) -> str:
    """Return the name in ASCII and lower case. Raises ValueError for an invalid host name."""
    if domain.isascii():
        return domain.lower()
    # UTS 46, as in browsers: maps upper case and full-width letters to their plain forms.
    return idna.encode(domain, uts46=True, transitional=False, std3_rules=True).decode()


def ascii_url(url: str) -> str:
    """Return the URL with its host in ASCII, as browsers write it in headers. Raises ValueError."""
    parts = urlsplit(url)
    if parts.netloc.isascii():
        return url
    user, at, host_and_port = parts.netloc.rpartition("@")
    host, colon, port = host_and_port.partition(":")
    return parts._replace(netloc=f"{user}{at}{ascii_domain(host)}{colon}{port}").geturl()


def ascii_sender(sender: str) -> str:
    """Return a mail sender (`Name <name@domain>` or an address) with its domain in ASCII. Raises ValueError."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    return sender if domain.isascii() else sender.replace(f"@{domain}", f"@{ascii_domain(domain)}")

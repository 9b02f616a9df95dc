"""
Names of hosts as they go into the network: in ASCII, by IDNA 2008.

Python's own codec, which Django and the standard library use, follows IDNA 2003: it makes straße.de the host
strasse.de, which may be somebody else's. Browsers and mail programs have moved on.
"""

import idna


def ascii_domain(domain: str) -> str:
    """The name in ASCII, in lower case. Raises ValueError for what no host can be called."""
    if domain.isascii():
        return domain.lower()
    # UTS 46, as browsers do it: upper case and full-width letters become what they stand for.
    return idna.encode(domain, uts46=True, transitional=False, std3_rules=True).decode()

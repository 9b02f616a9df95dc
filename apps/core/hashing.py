"""Stand-ins for secrets that must not be stored."""

import hashlib


def digest(secret: str) -> str:
    """Return an identifier for a session or another secret that doesn't reveal the secret."""
    return hashlib.sha256(secret.encode()).hexdigest()

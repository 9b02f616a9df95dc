"""What stands for a secret where the secret itself must not be kept."""

import hashlib


def digest(secret: str) -> str:
    """A name for a session, or for whatever else is opened by a secret, that does not give the secret away."""
    return hashlib.sha256(secret.encode()).hexdigest()

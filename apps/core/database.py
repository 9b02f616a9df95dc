"""When the database's server is gone for a while."""

import threading
import time

from django.db import InterfaceError, OperationalError, connection

# What a database's driver raises when its server is gone, restarts, or is too busy. It passes.
NO_DATABASE = (OperationalError, InterfaceError)

# Between two times that the pool is emptied, in seconds: one outage fails many requests at once.
PAUSE = 0.5
_lock = threading.Lock()
_forgotten_at = -PAUSE


def forget_connections() -> None:
    """
    Empty PostgreSQL's pool, after an error of NO_DATABASE.

    A restart leaves it full of connections that are dead and do not know it, and each would fail somebody; psycopg's
    own check tries them one by one, with longer and longer pauses, and may take minutes.
    """
    global _forgotten_at
    pool = getattr(connection, "pool", None)
    with _lock:
        if pool is None or time.monotonic() - _forgotten_at < PAUSE:
            return
        _forgotten_at = time.monotonic()
    pool.drain()

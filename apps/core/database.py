"""When the database's server is gone for a while, and whose connections are held."""

import threading
import time

from asgiref.sync import SyncToAsync
from django.db import IntegrityError, InterfaceError, OperationalError, connection, connections

# What a database's driver raises when its server is gone, restarts, or is too busy. It passes.
NO_DATABASE = (OperationalError, InterfaceError)

UNIQUE_VIOLATION = "23505"  # as SQL's standard has it

# Between two times that the pool is emptied, in seconds: one outage fails many requests at once.
PAUSE = 0.5
_lock = threading.Lock()
_forgotten_at = -PAUSE


def is_taken(error: BaseException | None) -> bool:
    """Whether the error says that something which must be unique was there already."""
    if not isinstance(error, IntegrityError):
        return False
    return getattr(error.__cause__, "sqlstate", None) == UNIQUE_VIOLATION or "UNIQUE constraint" in str(error)


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


def give_back_thread() -> None:
    """
    End the thread that Django keeps for an async request's synchronous work, with its database connection.

    It would last as long as the response: a page that streams for minutes would hold both. What needs a thread at the
    end of the request gets a new one.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context else None
    if executor:
        executor.submit(connections.close_all)
        executor.shutdown(wait=False)

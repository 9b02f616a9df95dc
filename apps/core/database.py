"""Classifying database errors, retrying whole transactions, and giving connections back."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from asgiref.sync import SyncToAsync
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    transaction,
)

from apps.core import limits
from apps.core.turns import ANYTHING, Place, TooBusyError, own_turn

P = ParamSpec("P")
T = TypeVar("T")

# What database drivers raise when the server is gone, restarting or too busy. All of it is temporary.
NO_DATABASE = (OperationalError, InterfaceError)

# SQLSTATE codes of the SQL standard and PostgreSQL.
UNIQUE_VIOLATION = "23505"
DEADLOCK, SERIALIZATION_FAILURE = "40P01", "40001"
LOCK_NOT_AVAILABLE = "55P03"
STATEMENT_CANCELED = "57014"
IDLE_IN_TRANSACTION = "25P03"
BUSY = {DEADLOCK, SERIALIZATION_FAILURE, LOCK_NOT_AVAILABLE, STATEMENT_CANCELED, IDLE_IN_TRANSACTION}
# After these the server has rolled the transaction back, and retrying may help. A lock timeout is not retried: the
# connection would be held for as long once more.
REPEATABLE = {DEADLOCK, SERIALIZATION_FAILURE, IDLE_IN_TRANSACTION}
# The server is shutting down, or not accepting connections.
SERVER_GOES = {"57P01", "57P02", "57P03"}
SQLITE_BUSY = {5, 6}  # SQLITE_BUSY and SQLITE_LOCKED

# Minimum time between two drains of the pool: one outage fails many requests at once.
FORGETTING_PAUSE_SECONDS = 0.5
_lock = threading.Lock()
_forgotten_at = -FORGETTING_PAUSE_SECONDS


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes; Django wraps the driver's."""
    while error is not None:
        yield error
        error = error.__cause__


def state_of(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error, or an empty string; SQLite's lock errors count as PostgreSQL's."""
    for cause in causes_of(error):
        if state := getattr(cause, "sqlstate", None):
            return str(state)
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF in SQLITE_BUSY:
            return LOCK_NOT_AVAILABLE
    return ""


def is_taken(error: BaseException | None) -> bool:
    """Return whether the error is a violated unique constraint."""
    if not isinstance(error, IntegrityError):
        return False
    return state_of(error) == UNIQUE_VIOLATION or "UNIQUE constraint" in str(error)


def is_busy(error: BaseException | None) -> bool:
    """Return whether the database is up, but locks or timeouts kept it from doing what was asked."""
    return isinstance(error, TooBusyError) or (isinstance(error, DatabaseError) and state_of(error) in BUSY)


def is_lost(error: BaseException | None) -> bool:
    """Return whether the connection broke, as all do when the server restarts."""
    if not isinstance(error, NO_DATABASE) or is_busy(error) or is_pool_full(error):
        return False
    state = state_of(error)
    return not state or state.startswith("08") or state in SERVER_GOES


def is_pool_full(error: BaseException | None) -> bool:
    """Return whether the pool had no connection to offer in time."""
    return any(type(cause).__module__ == "psycopg_pool" for cause in causes_of(error))


def whole(at: Callable[..., Place] = lambda *args, **kwargs: ANYTHING) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """
    Run the function as one transaction, retried if the database aborts it to resolve a deadlock.

    Inside another transaction it joins that one, and only the outermost is retried. `at` maps the function's arguments
    to the place where it queues. Raises TooBusyError if others hold what it needs.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        in_transaction = transaction.atomic(function)

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            if connection.in_atomic_block:
                return in_transaction(*args, **kwargs)
            with own_turn(at(*args, **kwargs)):
                return repeated(partial(in_transaction, *args, **kwargs))

        return run

    return decorate


def repeated(work: Callable[[], T]) -> T:
    """Run a transaction, retrying after deadlocks. Raises TooBusyError if others keep it from succeeding."""
    for left in reversed(range(limits.TRIES)):
        try:
            return work()
        except TooBusyError:
            raise
        except DatabaseError as error:
            state = state_of(error)
            if state not in BUSY:
                raise
            if not left or state not in REPEATABLE:
                raise TooBusyError(str(error).strip(), is_held=state == LOCK_NOT_AVAILABLE) from error
        # Random, or the same two would collide again.
        time.sleep(random.uniform(0, limits.MAX_RETRY_PAUSE_SECONDS))  # noqa: S311  # no secret
    raise AssertionError("the last try returns or raises")


def forget_connections(error: BaseException | None) -> None:
    """
    Drain PostgreSQL's pool after an error that means the server went away.

    A restart leaves the pool full of dead connections, each of which would fail a request; psycopg's own check tries
    them one by one with growing pauses, and may take minutes.
    """
    global _forgotten_at
    if not is_lost(error):
        return
    pool = getattr(connection, "pool", None)
    with _lock:
        if pool is None or time.monotonic() - _forgotten_at < FORGETTING_PAUSE_SECONDS:
            return
        _forgotten_at = time.monotonic()
    pool.drain()


def give_back_thread() -> None:
    """
    End the thread, and its database connection, that Django keeps for an async request's synchronous work.

    Both would last as long as the response: a page that streams for minutes would hold them. Anything that needs a
    thread at the end of the request gets a new one.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context else None
    if executor:
        executor.submit(connections.close_all)
        executor.shutdown(wait=False)

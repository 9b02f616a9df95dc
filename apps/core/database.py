"""What the database's errors mean, whole transactions, and whose connections are held."""

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

# What a database's driver raises when its server is gone, restarts, or is too busy. It passes.
NO_DATABASE = (OperationalError, InterfaceError)

# As SQL's standard and PostgreSQL have them.
UNIQUE_VIOLATION = "23505"
DEADLOCK, SERIALIZATION_FAILURE = "40P01", "40001"
LOCK_NOT_AVAILABLE = "55P03"
STATEMENT_CANCELED = "57014"
IDLE_IN_TRANSACTION = "25P03"
BUSY = {DEADLOCK, SERIALIZATION_FAILURE, LOCK_NOT_AVAILABLE, STATEMENT_CANCELED, IDLE_IN_TRANSACTION}
# After these the server has undone the transaction, and to do it again may help. Who has waited for a lock as long as
# one may does not wait again: they would hold their connection for as long once more.
REPEATABLE = {DEADLOCK, SERIALIZATION_FAILURE, IDLE_IN_TRANSACTION}
# The server ends, or takes nobody in.
SERVER_GOES = {"57P01", "57P02", "57P03"}
SQLITE_BUSY = {5, 6}  # SQLITE_BUSY and SQLITE_LOCKED

# Between two times that the pool is emptied: one outage fails many requests at once.
FORGETTING_PAUSE_SECONDS = 0.5
_lock = threading.Lock()
_forgotten_at = -FORGETTING_PAUSE_SECONDS


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was made of: Django wraps the driver's."""
    while error is not None:
        yield error
        error = error.__cause__


def state_of(error: BaseException | None) -> str:
    """The SQLSTATE of an error; SQLite's lock counts as PostgreSQL's. Empty where it has none."""
    for cause in causes_of(error):
        if state := getattr(cause, "sqlstate", None):
            return str(state)
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF in SQLITE_BUSY:
            return LOCK_NOT_AVAILABLE
    return ""


def is_taken(error: BaseException | None) -> bool:
    """Whether the error says that something which must be unique was there already."""
    if not isinstance(error, IntegrityError):
        return False
    return state_of(error) == UNIQUE_VIOLATION or "UNIQUE constraint" in str(error)


def is_busy(error: BaseException | None) -> bool:
    """Whether the database is there, and others hold or keep it from what was asked."""
    return isinstance(error, TooBusyError) or (isinstance(error, DatabaseError) and state_of(error) in BUSY)


def is_lost(error: BaseException | None) -> bool:
    """Whether a connection broke, as all of them do when the server restarts."""
    if not isinstance(error, NO_DATABASE) or is_busy(error) or is_pool_full(error):
        return False
    state = state_of(error)
    return not state or state.startswith("08") or state in SERVER_GOES


def is_pool_full(error: BaseException | None) -> bool:
    """Whether the pool gave no connection in time."""
    return any(type(cause).__module__ == "psycopg_pool" for cause in causes_of(error))


def whole(at: Callable[..., Place] = lambda *args, **kwargs: ANYTHING) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """
    The function as one transaction, which is done again where the database chose it to end a deadlock.

    Within another transaction it is a part of that, and whoever began it does all of it again. `at` says, by the
    function's arguments, where it takes its turn. Raises TooBusyError where others hold what it needs.
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
    """What the work returns, which is a transaction by itself. Raises TooBusyError where others keep it from that."""
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
        # At random: two that met would meet again.
        time.sleep(random.uniform(0, limits.MAX_RETRY_PAUSE_SECONDS))  # noqa: S311  # no secret
    raise AssertionError("the last try returns or raises")


def forget_connections(error: BaseException | None) -> None:
    """
    Empty PostgreSQL's pool, after an error that says that the server went.

    A restart leaves it full of connections that are dead and do not know it, and each would fail somebody; psycopg's
    own check tries them one by one, with longer and longer pauses, and may take minutes.
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
    End the thread that Django keeps for an async request's synchronous work, with its database connection.

    It would last as long as the response: a page that streams for minutes would hold both. What needs a thread at the
    end of the request gets a new one.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context else None
    if executor:
        executor.submit(connections.close_all)
        executor.shutdown(wait=False)

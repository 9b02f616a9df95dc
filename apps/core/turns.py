"""
Queues in front of things that only one transaction can change at a time, such as a room's row.

A few threads per process run or wait at the database; all others queue here, without holding a connection or a shared
thread. Once a transaction has timed out waiting for the lock, the place counts as held: from then on one at a time
tries, and all others are refused at once.
"""

import asyncio
import logging
import re
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum

from django.db import DatabaseError, OperationalError, connection

from apps.core import limits

logger = logging.getLogger(__name__)

TABLE = re.compile(r'in relation "(\w+)"')


class TooBusyError(OperationalError):
    """
    Others hold what is needed, or too many are queueing. Nothing was stored.

    An OperationalError, since code that handles a missing database handles this too.
    """

    def __init__(self, reason: str, *, is_held: bool = False) -> None:
        super().__init__(reason)
        # Whether it timed out waiting for a lock; and the table of the locked row, if PostgreSQL names it.
        self.is_held = is_held
        found = TABLE.search(reason)
        self.table = found[1] if found else ""


@dataclass(frozen=True)
class Place:
    """A place to queue at."""

    name: str
    # How many of one process at once: one runs and others wait for the same lock, so it is never idle.
    capacity: int = limits.MAX_AT_ONE_ROOM
    # Whether all need the same lock, so that one timeout stands for all of them.
    is_one_lock: bool = True
    # The table of that row. A transaction that has it may still time out on a row of another table.
    table: str = ""

    def here(self) -> "Place":
        """Return the actual place for this database: SQLite has a single lock."""
        return THE_FILE if connection.vendor == "sqlite" else self


THE_FILE = Place("the database's file", capacity=1)
# Read markers: one row per user and room, written by every page.
MARKS = Place("the marks of how far was read", capacity=limits.MAX_MARKING, is_one_lock=False)


# Operations that lock varying rows: several rooms, the site's roles.
ANYTHING = Place("what takes several locks", is_one_lock=False)


class Outcome(Enum):
    """How a turn ended."""

    GOT_IT = 1
    IS_HELD = 2
    # It failed for another reason, or never began.
    UNKNOWN = 3


@dataclass(slots=True)
class Queue:
    """The queue at one place."""

    at_work: int = 0
    waiting: deque[Future[None]] = field(default_factory=deque)
    is_held: bool = False


@dataclass(slots=True, eq=False)
class Turn:
    """A turn held by a task until a thread working for it takes it over and later ends it."""

    place: Place
    is_open: bool = True

    def take_over(self) -> bool:
        """Take the turn; return whether it was still available."""
        with _lock:
            was_open, self.is_open = self.is_open, False
        return was_open


_lock = threading.Lock()
_queues: dict[Place, Queue] = {}
# The current task's turn, until it is used.
_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


def refuse_where_held(place: Place) -> None:
    """Raise TooBusyError if the place is held and being tried, so that no work is done in vain."""
    queue = _queues.get(place.here())
    if queue and queue.is_held and queue.at_work:
        raise too_busy(place.here())


@asynccontextmanager
async def turn_at(place: Place, give_back: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[None]:
    """
    Wait for a turn, used by the next thread that this task starts. Raises TooBusyError after a timeout.

    Before waiting, `give_back` releases the database connection of the task's own thread.
    """
    place = place.here()
    if ticket := join_queue(place):
        try:
            if give_back:
                await give_back()
            await asyncio.wait_for(asyncio.wrap_future(ticket), limits.ROOM_SECONDS)
        except BaseException as error:
            abandon(place, ticket, error)
    turn = Turn(place)
    token = _turn.set(turn)
    try:
        yield
    finally:
        _turn.reset(token)
        if turn.take_over():
            leave_queue(place, Outcome.UNKNOWN)


@contextmanager
def own_turn(place: Place) -> Iterator[None]:
    """Take a turn on this thread, using the one from `turn_at` if there is one. No-op inside a transaction."""
    if connection.in_atomic_block:
        yield
        return
    place = place.here()
    turn = _turn.get()
    if not (turn and turn.place == place and turn.take_over()):
        wait_on_thread(place)
    outcome = Outcome.UNKNOWN
    try:
        yield
        outcome = Outcome.GOT_IT
    except TooBusyError as error:
        is_this = not place.table or error.table in {"", place.table}
        outcome = Outcome.IS_HELD if error.is_held and is_this else Outcome.UNKNOWN
        raise
    except DatabaseError:
        raise
    except Exception:
        outcome = Outcome.GOT_IT
        raise
    finally:
        leave_queue(place, outcome)


def wait_on_thread(place: Place) -> None:
    """Wait for a turn without holding the thread's connection. Raises TooBusyError after a timeout."""
    if ticket := join_queue(place):
        give_connection_back()
        try:
            ticket.result(limits.ROOM_SECONDS)
        except BaseException as error:
            abandon(place, ticket, error)


def give_connection_back() -> None:
    """Return this thread's connection to the pool."""
    if connection.vendor != "sqlite" and not connection.in_atomic_block:
        connection.close()


def join_queue(place: Place) -> Future[None] | None:
    """Take a turn at once (None), or return a future to wait for. Raises TooBusyError if waiting is pointless."""
    with _lock:
        queue = _queues.setdefault(place, Queue())
        if queue.is_held:
            # Spend few threads and connections on retries, however many places are held.
            trying = sum(other.is_held and other.at_work > 0 for other in _queues.values())
            if queue.at_work or trying >= limits.MAX_TRYING:
                raise too_busy(place)
        elif queue.at_work >= place.capacity:
            if len(queue.waiting) >= limits.MAX_WAITING_FOR_A_ROOM:
                raise too_busy(place)
            ticket: Future[None] = Future()
            queue.waiting.append(ticket)
            return ticket
        queue.at_work += 1
    return None


def leave_queue(place: Place, outcome: Outcome) -> None:
    """End a turn and pass it on."""
    with _lock:
        queue = _queues[place]
        queue.at_work -= 1
        if place.is_one_lock and outcome != Outcome.UNKNOWN:
            note(place, queue, is_held=outcome == Outcome.IS_HELD)
        while queue.waiting and (queue.is_held or queue.at_work < place.capacity):
            ticket = queue.waiting.popleft()
            if not ticket.set_running_or_notify_cancel():
                continue
            if queue.is_held:
                ticket.set_exception(too_busy(place))
            else:
                queue.at_work += 1
                ticket.set_result(None)
        if not (queue.at_work or queue.waiting or queue.is_held):
            del _queues[place]


def note(place: Place, queue: Queue, *, is_held: bool) -> None:
    """Record whether the place is held, and log changes."""
    if is_held and not queue.is_held:
        logger.warning("Somebody holds %s in the database: who wants to change it is told to wait.", place.name)
    elif queue.is_held and not is_held:
        logger.warning("Nobody holds %s in the database any more.", place.name)
    queue.is_held = is_held


def abandon(place: Place, ticket: Future[None], error: BaseException) -> None:
    """Stop waiting; return if the turn came at the last moment, otherwise raise the reason."""
    with _lock:
        was_given = not ticket.cancel() and ticket.exception() is None
        queue = _queues.get(place)
        if queue and ticket in queue.waiting:
            queue.waiting.remove(ticket)
    if isinstance(error, TimeoutError):
        if was_given:
            return
        raise too_busy(place) from None
    if was_given:
        leave_queue(place, Outcome.UNKNOWN)
    raise error


def too_busy(place: Place) -> TooBusyError:
    """Return the error for a request that is turned away."""
    return TooBusyError(f"too many wait for {place.name}")

"""
Turns at what only one can change at a time, such as a room's row.

A few of a process are at work on it, or wait for it at the database; the others wait here, where they hold no
connection and no shared thread. Once one of them has waited at the database in vain, something holds the thing: from
then on one at a time tries, and who comes meanwhile is told at once.
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
    What was asked has to wait for others, who hold something or are many. Nothing of it is stored.

    An OperationalError, since who is ready for a database that is away is ready for this.
    """

    def __init__(self, reason: str, *, is_held: bool = False) -> None:
        super().__init__(reason)
        # Whether a lock was waited for in vain; and a row of which table, where PostgreSQL says it.
        self.is_held = is_held
        found = TABLE.search(reason)
        self.table = found[1] if found else ""


@dataclass(frozen=True)
class Place:
    """Where turns are taken."""

    name: str
    # Of one process at once: one at work, and others who wait for the same lock, so that it is never idle.
    capacity: int = limits.MAX_AT_ONE_ROOM
    # Whether all want the same lock, so that one who waited in vain did so for all of them.
    is_one_lock: bool = True
    # Of which table that is a row. Who has it may still wait in vain for a row of another one.
    table: str = ""

    def here(self) -> "Place":
        """Where that is with this database: SQLite has one lock for everything."""
        return THE_FILE if connection.vendor == "sqlite" else self


THE_FILE = Place("the database's file", capacity=1)
# How far people have read: a row of each person in each room, asked for by every page.
MARKS = Place("the marks of how far was read", capacity=limits.MAX_MARKING, is_one_lock=False)


# What locks now this, now that: several rooms, the roles of the site.
ANYTHING = Place("what takes several locks", is_one_lock=False)


class Outcome(Enum):
    """What became of a turn."""

    GOT_IT = 1
    IS_HELD = 2
    # It failed for another reason, or never began.
    UNKNOWN = 3


@dataclass(slots=True)
class Queue:
    """Those at one place."""

    at_work: int = 0
    waiting: deque[Future[None]] = field(default_factory=deque)
    is_held: bool = False


@dataclass(slots=True, eq=False)
class Turn:
    """A turn that a task has, until a thread that works for it takes it over, which ends it."""

    place: Place
    is_open: bool = True

    def take_over(self) -> bool:
        """Whether it was still to be had."""
        with _lock:
            was_open, self.is_open = self.is_open, False
        return was_open


_lock = threading.Lock()
_queues: dict[Place, Queue] = {}
# The turn of whoever runs this, until it is used.
_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


def refuse_where_held(place: Place) -> None:
    """Raise TooBusyError where somebody waits in vain just now, so that no work is done for nothing."""
    queue = _queues.get(place.here())
    if queue and queue.is_held and queue.at_work:
        raise too_busy(place.here())


@asynccontextmanager
async def turn_at(place: Place, give_back: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[None]:
    """
    Wait for a turn, which the next thread that this task starts uses. Raises TooBusyError where that takes too long.

    Before it waits, `give_back` gives the connection back that the task's own thread has.
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
    """The same on a thread of one's own; within `turn_at` it uses that turn. Within a transaction it is too late."""
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
    """Wait for a turn, without the thread's connection. Raises TooBusyError where that takes too long."""
    if ticket := join_queue(place):
        give_connection_back()
        try:
            ticket.result(limits.ROOM_SECONDS)
        except BaseException as error:
            abandon(place, ticket, error)


def give_connection_back() -> None:
    """Let others have this thread's connection of the pool, while it needs none."""
    if connection.vendor != "sqlite" and not connection.in_atomic_block:
        connection.close()


def join_queue(place: Place) -> Future[None] | None:
    """None for a turn at once, else something to wait for. Raises TooBusyError where there is no use in waiting."""
    with _lock:
        queue = _queues.setdefault(place, Queue())
        if queue.is_held:
            # However many things are held, few threads and connections are spent on trying them.
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
    """End a turn; the next has theirs."""
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
    """Keep whether the place is held, and say so in the log when that changes."""
    if is_held and not queue.is_held:
        logger.warning("Somebody holds %s in the database: who wants to change it is told to wait.", place.name)
    elif queue.is_held and not is_held:
        logger.warning("Nobody holds %s in the database any more.", place.name)
    queue.is_held = is_held


def abandon(place: Place, ticket: Future[None], error: BaseException) -> None:
    """Wait no longer; returns where the turn came at the last moment, else raises what ended the waiting."""
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
    """The error for who is turned away."""
    return TooBusyError(f"too many wait for {place.name}")

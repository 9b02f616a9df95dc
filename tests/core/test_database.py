"""What the database's errors mean, and transactions that are retried."""

import logging
import select
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock, patch

import psycopg
import psycopg_pool
import pytest
from django.db import DatabaseError, InternalError, OperationalError, connection, connections, transaction
from django.test import Client, RequestFactory

from apps.accounts import invitations
from apps.accounts.models import Invitation
from apps.chat.models import Message
from apps.core import database, limits, locks, turns
from apps.core.database import forget_connections, is_busy, is_lost, whole
from apps.core.logs import DatabaseTrouble
from apps.core.postgresql.base import TRIES, has_ended
from apps.core.turns import TooBusyError
from apps.core.views import busy
from apps.rooms.models import Room
from tests.conftest import Cast, client_of, make_user, say

only_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL only")


def wrapped(cause: Exception, kind: type[Exception] = OperationalError) -> Exception:
    """A driver's error as Django raises it."""
    error = kind(*cause.args)
    error.__cause__ = cause
    return error


def locked_file() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


DEADLOCK = wrapped(psycopg.errors.DeadlockDetected("deadlock detected"))
LOCK_TIMEOUT = wrapped(psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"))
BUSY = [
    DEADLOCK,
    LOCK_TIMEOUT,
    wrapped(psycopg.errors.SerializationFailure("could not serialize access")),
    wrapped(psycopg.errors.QueryCanceled("canceling statement due to statement timeout")),
    wrapped(psycopg.errors.IdleInTransactionSessionTimeout("terminating connection"), InternalError),
    wrapped(locked_file()),
]
LOST = [
    wrapped(psycopg.OperationalError("server closed the connection unexpectedly")),
    wrapped(psycopg.errors.AdminShutdown("terminating connection due to administrator command")),
    wrapped(psycopg.errors.ConnectionFailure("gone")),
]
NEITHER = [
    wrapped(psycopg_pool.PoolTimeout("couldn't get a connection after 5.00 sec")),
    wrapped(psycopg.errors.TooManyConnections("too many clients")),
]


@pytest.mark.parametrize("error", BUSY + LOST + NEITHER, ids=lambda error: type(error.__cause__).__name__)
def test_only_a_lost_server_empties_the_pool(error: Exception) -> None:
    assert is_busy(error) == (error in BUSY)
    assert is_lost(error) == (error in LOST)
    pool = Mock()
    with patch.object(database, "connection", Mock(pool=pool)), patch.object(database, "_forgotten_at", -1e9):
        forget_connections(error)
    assert pool.drain.called == (error in LOST)


def failing(errors: list[Exception]) -> tuple[Callable[[], str], list[int]]:
    """A transaction that fails with these errors in turn, and the list of its attempts."""
    tries: list[int] = []

    @whole()
    def work() -> str:
        tries.append(1)
        Room.objects.create(name=f"Room {len(tries)}", slug=f"r-{len(tries)}")
        if len(tries) <= len(errors):
            raise errors[len(tries) - 1]
        return "done"

    return work, tries


@pytest.mark.django_db(transaction=True)
def test_after_a_deadlock_the_whole_transaction_is_retried() -> None:
    work, _ = failing([DEADLOCK, DEADLOCK])
    assert work() == "done"
    assert list(Room.objects.filter(slug__startswith="r-").values_list("slug", flat=True)) == ["r-3"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "tried", "raised"),
    [
        (DEADLOCK, limits.TRIES, TooBusyError),
        # After waiting as long as allowed, it must not hold a connection for as long again.
        (LOCK_TIMEOUT, 1, TooBusyError),
        (LOST[0], 1, OperationalError),
        (DatabaseError("another"), 1, DatabaseError),
    ],
)
def test_retries_are_limited_and_then_the_error_is_raised(
    error: Exception, tried: int, raised: type[Exception]
) -> None:
    work, tries = failing([error] * 10)
    with pytest.raises(raised) as told:
        work()
    assert len(tries) == tried
    assert type(told.value) is raised
    assert not Room.objects.filter(slug__startswith="r-").exists()


@pytest.mark.django_db(transaction=True)
def test_inside_another_transaction_nothing_is_retried() -> None:
    work, tries = failing([DEADLOCK] * 10)
    with pytest.raises(OperationalError), transaction.atomic():
        work()
    assert len(tries) == 1


@contextmanager
def another_transaction(*statements: str) -> Iterator[None]:
    """Keep these statements in an open transaction on another connection."""
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            ready.set()
            done.wait(30)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join()


@dataclass
class Locked:
    """A room whose row (on SQLite, whose database) is locked, and a member's browser."""

    client: Client
    room: Room
    message: Message


@pytest.fixture
def locked(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Locked]:
    cast = Cast()
    client, message = client_of(cast.owner), say(cast.room, cast.owner, "Said before")
    client.raise_request_exception = False
    if connection.vendor == "sqlite":
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
        connection.close()
    with another_transaction(f"UPDATE rooms_room SET topic = topic WHERE id = {cast.room.pk}"):
        yield Locked(client, cast.room, message)
    turns._queues.clear()
    connection.close()


def test_a_form_about_a_locked_room_keeps_the_typed_values(locked: Locked) -> None:
    answer = locked.client.post("/rooms/attic/settings/", {"name": "Attic", "topic": "Kept <b>", "access": "open"})
    page = answer.content.decode()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "This is busy at the moment" in page
    assert 'name="topic" value="Kept &lt;b&gt;"' in page


def test_a_failed_change_to_a_locked_room_does_not_count_towards_limits(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits.RATES, "room_details", "1/h/user")
    form = {"name": "Attic", "topic": "Kept", "access": "open"}
    assert [locked.client.post("/rooms/attic/settings/", form).status_code for _ in range(2)] == [503, 503]


def test_a_message_to_a_locked_room_stays_in_the_composer(locked: Locked) -> None:
    form = {"body": "Kept <b>", "client_id": str(uuid.uuid4())}
    answer = locked.client.post("/rooms/attic/messages/", form)
    page = answer.content.decode()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "This room is busy at the moment. Your text is kept" in page
    assert "Kept &lt;b&gt;</textarea>" in page
    assert "Said before" in page


def test_htmx_is_told_to_keep_a_message_to_a_locked_room(locked: Locked) -> None:
    form = {"body": "Kept", "client_id": str(uuid.uuid4())}
    answer = locked.client.post("/rooms/attic/messages/", form, headers={"HX-Request": "true"})
    assert answer.status_code == 503
    assert answer.content.decode() == f'<hx-delayed client="{form["client_id"]}"></hx-delayed>'


def test_messages_that_must_wait_are_logged_only_once(locked: Locked, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        locked.client.post("/rooms/attic/messages/", {"body": "Kept", "client_id": str(uuid.uuid4())})
    assert [one.name for one in caplog.records if one.levelno >= logging.WARNING] == ["apps.core.turns"]


def test_a_message_from_the_frame_stays_in_the_frame(locked: Locked) -> None:
    form = {"body": "Kept", "client_id": str(uuid.uuid4()), "frame": ""}
    answer = locked.client.post("/rooms/attic/messages/", form)
    assert answer.status_code == 503
    assert "Kept</textarea>" in answer.content.decode()
    assert 'name="frame"' in answer.content.decode()


@pytest.mark.parametrize("verb", ["edit", "delete"])
def test_changing_a_message_in_a_locked_room_says_to_wait(locked: Locked, verb: str) -> None:
    answer = locked.client.post(f"/rooms/attic/messages/{locked.message.pk}/{verb}/", {"body": "Changed"})
    page = answer.content.decode()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "This room is busy at the moment" in page
    assert ("Changed</textarea>" in page) == (verb == "edit")


def test_a_locked_room_can_still_be_read(locked: Locked) -> None:
    answer = locked.client.get("/rooms/attic/")
    assert answer.status_code == 200
    assert "Said before" in answer.content.decode()
    assert locked.client.get("/readyz").status_code == 200


@only_postgres
def test_users_joining_a_locked_room_do_not_keep_others_waiting(locked: Locked) -> None:
    owner = locked.room.memberships.order_by("role").select_related("user")[0].user
    links = [invitations.make(made_by=owner, room_id=None, note="", days=1, most_uses=100)]
    Invitation.objects.update(room=locked.room)
    people = [client_of(make_user(f"guest{number}")) for number in range(limits.MAX_AT_ONE_ROOM)]

    def follow(client: Client) -> int:
        client.raise_request_exception = False
        try:
            return client.post(f"/invitations/{links[0]}/accept/").status_code
        finally:
            connections.close_all()

    def at_work() -> int:
        return sum(line.at_work for line in turns._queues.values())

    with ThreadPoolExecutor(len(people)) as threads:
        statuses = threads.map(follow, people)
        deadline = time.monotonic() + 10
        while at_work() < len(people):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        locks.store(owner, ["theme"])
        assert at_work() == len(people)
        assert set(statuses) == {503}


def test_the_busy_page_does_not_repeat_a_password() -> None:
    request = RequestFactory().post("/accounts/login/", {"login": "ada", "password": "my secret"})
    answer = busy(request)
    assert "my secret" not in answer.content.decode()
    assert 'value="ada"' in answer.content.decode()
    assert '<input type="password"' in answer.content.decode()


@only_postgres
def test_one_members_locked_row_does_not_make_the_room_busy_for_others(transactional_db: None) -> None:
    cast = Cast()
    clients = [client_of(cast.member), client_of(cast.owner)]
    statement = f"UPDATE rooms_membership SET role = role WHERE user_id = {cast.member.pk}"
    with another_transaction(statement):
        form = {"body": "Text", "client_id": str(uuid.uuid4())}
        statuses = [client.post("/rooms/attic/messages/", form).status_code for client in clients]
        assert not turns._queues
    assert statuses == [503, 303]


@only_postgres
@pytest.mark.django_db
def test_every_connection_has_limits() -> None:
    with connection.cursor() as cursor:
        for name, value in (("lock_timeout", "2s"), ("statement_timeout", "30s")):
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == (value,)
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("10s",)


def pool_of_all() -> psycopg_pool.ConnectionPool:
    """The pool of this process."""
    pool = getattr(connection, "pool", None)
    assert isinstance(pool, psycopg_pool.ConnectionPool)
    return pool


@contextmanager
def another() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection to the same database outside the pool."""
    parameters = connection.get_connection_params()
    with psycopg.connect(**{name: parameters[name] for name in ("host", "port", "user", "dbname")}) as found:
        found.autocommit = True
        yield found


@only_postgres
@pytest.mark.django_db(transaction=True)
def test_connections_ended_by_the_server_are_not_handed_out() -> None:
    pool = pool_of_all()
    for one in [pool.getconn() for _ in range(4)]:
        pool.putconn(one)
    connection.close()
    with another() as operator:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        operator.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}")
    began = time.monotonic()
    assert Room.objects.filter(slug="nothing").count() == 0
    # Without growing pauses for each of them.
    assert time.monotonic() - began < 1


@only_postgres
@pytest.mark.django_db(transaction=True)
def test_if_every_connection_has_ended_the_query_fails_and_none_is_returned_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = pool_of_all()
    getconn, putconn, put_back = pool.getconn, pool.putconn, list[psycopg.Connection[Any]]()

    def ended() -> psycopg.Connection[Any]:
        found = getconn()
        found.close()
        return found

    def put(one: psycopg.Connection[Any]) -> None:
        put_back.append(one)
        putconn(one)

    connection.close()
    monkeypatch.setattr("apps.core.postgresql.base.has_ended", lambda found: True)
    monkeypatch.setattr(pool, "getconn", ended)
    monkeypatch.setattr(pool, "putconn", put)
    with pytest.raises(OperationalError) as raised:
        Room.objects.count()
    connection.close()
    assert is_lost(raised.value)
    # The pool would count one returned twice as two, and open two in its place.
    assert len(put_back) == len({id(one) for one in put_back}) == TRIES + 1


@only_postgres
@pytest.mark.django_db(transaction=True)
def test_a_connection_with_a_pending_notification_is_still_usable() -> None:
    with another() as operator, pool_of_all().connection() as one:
        one.execute("LISTEN something")
        one.commit()
        operator.execute("NOTIFY something")
        assert select.select([one.fileno()], [], [], 5)[0]
        assert not has_ended(one)
        one.execute("UNLISTEN something")


@only_postgres
@pytest.mark.django_db(transaction=True)
def test_two_deadlocked_transactions_both_succeed() -> None:
    both = [Room.objects.create(name=name, slug=name).pk for name in ("a", "b")]
    met = threading.Barrier(2, timeout=10)
    tries: list[int] = []

    @whole()
    def lock(first: int, second: int) -> None:
        tries.append(1)
        Room.objects.select_for_update().get(pk=first)
        if len(tries) <= 2:
            met.wait()
        Room.objects.select_for_update().get(pk=second)

    def run(order: list[int]) -> None:
        try:
            lock(*order)
            done.append(order)
        finally:
            connections.close_all()

    done: list[list[int]] = []
    threads = [threading.Thread(target=run, args=[order]) for order in (both, both[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == [both, both[::-1]]
    assert len(tries) == 3


@only_postgres
@pytest.mark.django_db(transaction=True)
def test_a_transaction_ended_for_idling_is_retried() -> None:
    tries: list[int] = []

    @whole()
    def idle() -> None:
        tries.append(1)
        with connection.cursor() as cursor:
            if len(tries) == 1:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
                threading.Event().wait(0.5)
            cursor.execute("SELECT 1")

    idle()
    assert len(tries) == 2


def record(error: Exception, message: str = "Internal Server Error: %s") -> logging.LogRecord:
    """A log record as Django writes it for a failed request."""
    info = (type(error), error, None)
    return logging.LogRecord("django.request", logging.ERROR, __file__, 1, message, ("/rooms/",), info)


def test_database_trouble_is_logged_in_one_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = DatabaseTrouble()
    lines = [record(NEITHER[0]) for _ in range(5)]
    assert [trouble.filter(one) for one in lines] == [True, False, False, False, False]
    assert lines[0].getMessage() == "Internal Server Error: /rooms/: couldn't get a connection after 5.00 sec"
    assert lines[0].exc_info is None
    # Another kind of error is logged separately.
    assert trouble.filter(record(DEADLOCK))
    monkeypatch.setattr(limits, "TROUBLE_PAUSE_SECONDS", 0.0)
    later = record(NEITHER[0])
    assert trouble.filter(later)
    assert later.getMessage().endswith("(4 more like this before)")


def test_any_other_error_keeps_its_traceback() -> None:
    trouble = DatabaseTrouble()
    for _ in range(2):
        fault = record(RuntimeError("ours"))
        assert trouble.filter(fault)
        assert fault.exc_info

"""Django's migrate, one at a time."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from apps.core.backups import copies
from apps.core.database import LOCK_NOT_AVAILABLE, REPEATABLE, state_of
from apps.core.limits import (
    MIGRATE_SECONDS,
    MIGRATION_LOCK_SECONDS,
    MIGRATION_PAUSE_SECONDS,
    MIGRATION_TRIES_SECONDS,
)

# PostgreSQL advisory lock.
TURN_LOCK = 0x7061_726C_6579_0002
LOCK = settings.DATA_DIR / "migrating.lock"
WAITING = "Another migrate is under way. Waiting for it, {minutes:.0f} minutes at most."
GIVEN_UP = (
    "Another migrate has been under way for {minutes:.0f} minutes. See whether it still works, and run this again."
)
HELD = "Others have what this migration needs to lock. Trying again, for {minutes:.0f} minutes at most."
LOOK_PAUSE_SECONDS = 0.2


class Command(migrate.Command):
    """Two running at once would both create what is missing, and one would fail halfway."""

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check_unapplied"] or options["plan"]:
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        turn = turn_on_postgresql if connection.vendor == "postgresql" else turn_on_this_machine
        with turn(connection, self.say):
            self.migrate(*args, **options)

    def migrate(self, *args: Any, **options: Any) -> None:
        """
        Migrate, and begin again where another transaction has a lock that is needed, such as a backup's.

        Everybody who comes after a statement that waits for a table's lock waits behind it: the whole site would stand
        still for as long.
        """
        began = time.monotonic()
        while True:
            try:
                super().handle(*args, **options)
                return
            except OperationalError as error:
                is_held = state_of(error) in {LOCK_NOT_AVAILABLE, *REPEATABLE}
                if not is_held or time.monotonic() - began > MIGRATION_TRIES_SECONDS:
                    raise
            self.stderr.write(HELD.format(minutes=MIGRATION_TRIES_SECONDS / 60))
            time.sleep(MIGRATION_PAUSE_SECONDS)

    def say(self) -> None:
        """Tell the operator that it is waiting, whatever the verbosity: otherwise it would seem to hang."""
        self.stderr.write(WAITING.format(minutes=MIGRATE_SECONDS / 60))


@contextmanager
def turn_on_postgresql(connection: BaseDatabaseWrapper, say: Any) -> Iterator[None]:
    """
    Hold an advisory lock, on a connection of its own.

    In a transaction: a pgbouncer in transaction mode would share a session lock with other clients.
    """
    own = connection.copy()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            # This connection waits for the lock, then idles for long.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            wait_until(lambda: is_taken(cursor), say)
        with limits_of_a_migration(connection):
            yield
    finally:
        with suppress(DatabaseError, InterfaceError):
            own.rollback()
        own.close()


def is_taken(cursor: CursorWrapper) -> bool:
    """Take the advisory lock if it is free. One that queued for it would keep a concurrently built index waiting."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [TURN_LOCK])
    return bool(cursor.fetchone()[0])


@contextmanager
def limits_of_a_migration(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lift the statement timeout, meant for pages: a migration may take long. But it mustn't queue for long."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{MIGRATION_LOCK_SECONDS * 1000:.0f}ms"])
    try:
        yield
    finally:
        if connection.connection is not None and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")
                cursor.execute("RESET lock_timeout")


@contextmanager
def turn_on_this_machine(connection: BaseDatabaseWrapper, say: Any) -> Iterator[None]:
    """Hold a file lock: SQLite's database is on this machine, and its own lock ends with each migration."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        copies.give_to_owner(LOCK)
        wait_until(lambda: is_locked(descriptor), say)
        with one_check_of_references(connection):
            yield
    finally:
        os.close(descriptor)


@contextmanager
def one_check_of_references(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """
    Check all references between rows once, at the end, holding no lock.

    Django checks them in each migration, whatever it changed, while nobody else can write: with a million messages some
    tenths of a second, forty times over.
    """
    check = connection.check_constraints
    connection.check_constraints = lambda table_names=None: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        connection.check_constraints = check  # type: ignore[method-assign]
    check()


def wait_until(is_ours: Callable[[], bool], say: Callable[[], None]) -> None:
    """Try until it is ours. Raises CommandError where that takes too long."""
    began = time.monotonic()
    is_told = False
    while not is_ours():
        if time.monotonic() - began > MIGRATE_SECONDS:
            raise CommandError(GIVEN_UP.format(minutes=MIGRATE_SECONDS / 60))
        if not is_told:
            say()
        is_told = True
        time.sleep(LOOK_PAUSE_SECONDS)


def is_locked(descriptor: int) -> bool:
    """Take the file lock if it is free; go on without it if the file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True

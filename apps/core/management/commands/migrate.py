"""Django's migrate, one at a time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.core.backups import copies
from apps.core.limits import MIGRATE_SECONDS

# PostgreSQL advisory lock.
TURN_LOCK = 0x7061_726C_6579_0002
LOCK = settings.DATA_DIR / "migrating.lock"
WAITING = "Another migrate is under way. Waiting for it, {minutes:.0f} minutes at most."
GIVEN_UP = (
    "Another migrate has been under way for {minutes:.0f} minutes. See whether it still works, and run this again."
)
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
            super().handle(*args, **options)

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
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [TURN_LOCK])
            if not cursor.fetchone()[0]:
                say()
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{MIGRATE_SECONDS * 1000:.0f}ms"])
                try:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN_LOCK])
                except OperationalError as error:
                    if getattr(error.__cause__, "sqlstate", "") != "55P03":  # lock_not_available
                        raise
                    raise CommandError(GIVEN_UP.format(minutes=MIGRATE_SECONDS / 60)) from None
        with without_time_limit(connection):
            yield
    finally:
        with suppress(DatabaseError, InterfaceError):
            own.rollback()
        own.close()


@contextmanager
def without_time_limit(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lift the statement timeout, meant for pages: a migration may take long."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    try:
        yield
    finally:
        if connection.connection is not None and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")


@contextmanager
def turn_on_this_machine(connection: BaseDatabaseWrapper, say: Any) -> Iterator[None]:
    """Hold a file lock: SQLite's database is on this machine, and its own lock ends with each migration."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        copies.give_to_owner(LOCK)
        wait_for(descriptor, say)
        yield
    finally:
        os.close(descriptor)


def wait_for(descriptor: int, say: Any) -> None:
    """Take the file lock; continue without it if the file system has none."""
    began = time.monotonic()
    is_told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        except OSError:
            return
        if time.monotonic() - began > MIGRATE_SECONDS:
            raise CommandError(GIVEN_UP.format(minutes=MIGRATE_SECONDS / 60))
        if not is_told:
            say()
        is_told = True
        time.sleep(LOOK_PAUSE_SECONDS)

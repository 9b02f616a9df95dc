"""SQLite's file, while others write to it."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from django.db import connection

from apps.core.backups import BackupError

BESIDE = ("-wal", "-shm", "-journal")


def file() -> Path:
    """Where the database lies."""
    return Path(connection.settings_dict["NAME"])


def size() -> int:
    """How many bytes a copy takes at most."""
    return sum(part.stat().st_size for part in [file(), beside(file(), "-wal")] if part.exists())


def beside(database: Path, ending: str) -> Path:
    """One of the files that SQLite keeps beside a database."""
    return database.with_name(database.name + ending)


def dump(target: Path) -> None:
    """
    Copy the database as it is at one moment.

    In one step: a copy in several begins anew at each write of another process, and never ends on a busy site.
    """
    if not file().exists():
        raise BackupError(f"There is no database yet: {file()}.")
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(opened(file())) as source, closing(opened(target)) as copy:
        try:
            source.backup(copy, pages=-1)
            # One file, without anything beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.DatabaseError as error:
            raise BackupError(f"{file()} cannot be copied: {error}.") from error
    refuse_damaged(target)


def opened(database: Path) -> sqlite3.Connection:
    """A connection to a file that exists."""
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=20, isolation_level=None)


def refuse_damaged(database: Path) -> None:
    """Raise BackupError unless SQLite finds all of the file in order."""
    with closing(opened(database)) as checked:
        try:
            found = checked.execute("PRAGMA integrity_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise BackupError(f"The database is damaged ({found}). Restore an older backup.")


def migrations(database: Path) -> list[str]:
    """Which migrations the copy has had."""
    with closing(opened(database)) as read:
        try:
            rows = read.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
        except sqlite3.DatabaseError as error:
            raise BackupError(f"The database has no migrations yet ({error}). Run first: manage.py migrate") from error
    return [f"{app}.{name}" for app, name in rows]


def use(database: Path) -> None:
    """Have Django work on this file from now on."""
    connection.close()
    connection.settings_dict["NAME"] = str(database)


def close_up(database: Path) -> None:
    """Bring all that was written into the one file. Raises BackupError while somebody else has it open."""
    with closing(opened(database)) as last:
        try:
            last.execute("PRAGMA journal_mode=DELETE").fetchone()
            last.execute("BEGIN EXCLUSIVE")
            last.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise BackupError(f"Another program has {database} open ({error}). End it first.") from error


def clear_away(database: Path) -> None:
    """Delete a database and what belongs to it."""
    for ending in ("", *BESIDE):
        beside(database, ending).unlink(missing_ok=True)


def free(database: Path) -> None:
    """Bring a database to rest that will be replaced; one that is damaged needs no care."""
    if database.exists():
        with suppress(sqlite3.DatabaseError):
            close_up(database)


def replace(database: Path, fresh: Path) -> None:
    """Put another file in its place. What lay beside the old one must not be taken for the new one's."""
    for ending in BESIDE:
        beside(database, ending).unlink(missing_ok=True)
    fresh.replace(database)

"""Backing up and replacing the SQLite file."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from django.db import connection

from apps.core.backups import BackupError

BESIDE = ("-wal", "-shm", "-journal")


def file() -> Path:
    """Return the path of the database."""
    return Path(connection.settings_dict["NAME"])


def size() -> int:
    """Return an upper bound for the size of a copy, in bytes."""
    return sum(part.stat().st_size for part in [file(), beside(file(), "-wal")] if part.exists())


def beside(database: Path, ending: str) -> Path:
    """Return the path of one of SQLite's companion files."""
    return database.with_name(database.name + ending)


def dump(target: Path) -> None:
    """
    Copy a consistent snapshot of the database.

    In one step: a copy in several steps restarts whenever another process writes, and never ends on a busy site.
    """
    if not file().exists():
        raise BackupError(f"There is no database yet: {file()}.")
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(opened(file())) as source, closing(opened(target)) as copy:
        try:
            source.backup(copy, pages=-1)
            # A single file, without companions.
            copy.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.DatabaseError as error:
            raise BackupError(f"{file()} cannot be copied: {error}.") from error
    refuse_damaged(target)


def opened(database: Path) -> sqlite3.Connection:
    """Open an existing file."""
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=20, isolation_level=None)


def refuse_damaged(database: Path) -> None:
    """Raise BackupError unless SQLite's integrity check passes."""
    with closing(opened(database)) as checked:
        try:
            found = checked.execute("PRAGMA integrity_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise BackupError(f"The database is damaged ({found}). Restore an older backup.")


def migrations(database: Path) -> list[str]:
    """Return the migrations that the copy has applied."""
    with closing(opened(database)) as read:
        try:
            rows = read.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
        except sqlite3.DatabaseError as error:
            raise BackupError(f"The database has no migrations yet ({error}). Run first: manage.py migrate") from error
    return [f"{app}.{name}" for app, name in rows]


def use(database: Path) -> None:
    """Switch Django to this database file."""
    connection.close()
    connection.settings_dict["NAME"] = str(database)


def close_up(database: Path) -> None:
    """Merge the WAL into the database file. Raises BackupError while another program has it open."""
    with closing(opened(database)) as last:
        try:
            last.execute("PRAGMA journal_mode=DELETE").fetchone()
            last.execute("BEGIN EXCLUSIVE")
            last.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise BackupError(f"Another program has {database} open ({error}). End it first.") from error


def clear_away(database: Path) -> None:
    """Delete a database and its companion files."""
    for ending in ("", *BESIDE):
        beside(database, ending).unlink(missing_ok=True)


def free(database: Path) -> None:
    """Close up a database that will be replaced; a damaged one needs no care."""
    if database.exists():
        with suppress(sqlite3.DatabaseError):
            close_up(database)


def replace(database: Path, fresh: Path) -> None:
    """Replace the database file. Companions of the old one are deleted, so the new one can't pick them up."""
    for ending in BESIDE:
        beside(database, ending).unlink(missing_ok=True)
    fresh.replace(database)

"""Running PostgreSQL's own client programs."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import psycopg
from django.db import connection
from psycopg import conninfo, pq

from apps.core.backups import BackupError

# Where to look besides PATH: Debian, Red Hat, Homebrew.
FOLDERS = [
    ("/usr/lib/postgresql", "*/bin"),
    ("/usr", "pgsql-*/bin"),
    ("/opt/homebrew/opt", "*p*q*/bin"),
    ("/usr/local/opt", "*p*q*/bin"),
]
GOODBYE_SECONDS = 3.0  # for our own connections to close

# Drops everything of ours in the schema: a leftover table of a newer version would break its migration. Objects of
# extensions stay; a sequence owned by a table goes with it.
EMPTY = """
SET LOCAL lock_timeout = '10s';
DO $$
DECLARE
    line text;
    lines text[] := ARRAY(
        SELECT format('DROP %s IF EXISTS %s CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN
            'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                AND deptype IN ('e', 'i', 'a'))
        UNION ALL
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid
                AND deptype = 'e')
        UNION ALL
        SELECT format('DROP TEXT SEARCH CONFIGURATION IF EXISTS %s CASCADE', oid::regconfig)
        FROM pg_ts_config WHERE cfgnamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_ts_config'::regclass AND objid = pg_ts_config.oid
                AND deptype = 'e')
    );
BEGIN
    FOREACH line IN ARRAY lines LOOP
        EXECUTE line;
    END LOOP;
END $$;
"""


def parameters() -> dict[str, str]:
    """Return the connection parameters that libpq knows (without Django's pool options)."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    found: dict[str, Any] = connection.get_connection_params()
    return {name: str(value) for name, value in found.items() if name in known and isinstance(value, str | int)}


def command(program: Path, *arguments: str) -> dict[str, Any]:
    """Return subprocess arguments to run a program on the site's database; the password is passed by environment."""
    reached = parameters()
    password = reached.pop("password", "")
    environment = {**os.environ, "PGCONNECT_TIMEOUT": "10", "PGAPPNAME": program.name}
    if password:
        environment["PGPASSWORD"] = password
    line = [str(program), *arguments, "--no-password", "--dbname", conninfo.make_conninfo(**reached)]
    return {"args": line, "env": environment, "umask": 0o077, "stderr": subprocess.PIPE}


@cache
def versions(name: str) -> dict[int, Path]:
    """Return the installed copies of this program by major version."""
    on_path = shutil.which(name)
    places = [Path(on_path)] if on_path else []
    places += [folder / name for root, pattern in FOLDERS for folder in Path(root).glob(pattern)]
    found: dict[int, Path] = {}
    for program in places:
        if program.exists():
            said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout  # noqa: S603
            if number := re.search(r"\) (\d+)", said):
                found[int(number[1])] = program
    return found


def program(name: str, least: int) -> tuple[Path, int]:
    """
    Return the oldest installed version of the program that is at least `least`, with its number.

    Not the newest: an older server may not understand what it writes.
    """
    fitting = [version for version in versions(name) if version >= least]
    if not fitting:
        found = f"only of version {max(versions(name))}" if versions(name) else "not"
        raise BackupError(
            f"{name} is installed {found}; the server needs {least} or newer. "
            f"Install PostgreSQL's client programs (Debian: apt install postgresql-client-{least})."
        )
    return versions(name)[min(fitting)], min(fitting)


def server_version() -> int:
    """Return the server's major version."""
    connection.ensure_connection()
    return connection.pg_version // 10_000  # type: ignore[attr-defined,no-any-return]


def size() -> int:
    """Return an upper bound for the size of a dump, in bytes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def migrations() -> list[str]:
    """Return the migrations that have been applied."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
        return [f"{app}.{name}" for app, name in cursor.fetchall()]


def dump(target: Path) -> int:
    """Write a consistent snapshot of the database; return the major version of pg_dump."""
    pg_dump, version = program("pg_dump", server_version())
    options = ["--format=custom", "--no-owner", "--no-privileges", "--no-comments", "--lock-wait-timeout=60s"]
    with subprocess.Popen(**command(pg_dump, *options, f"--file={target}")) as process:
        try:
            said = process.communicate()[1]
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise BackupError(f"pg_dump failed: {first_line(said)}")
    return version


def refuse_others() -> None:
    """Raise BackupError while other clients are connected to the database."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    question = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    deadline = time.monotonic() + GOODBYE_SECONDS
    with psycopg.connect(**parameters(), autocommit=True) as own:  # type: ignore[arg-type]
        while others := own.execute(question).fetchone()[0]:  # type: ignore[index]
            if time.monotonic() > deadline:
                raise BackupError(
                    f"{others} others are connected to the database. Stop the site's processes first; "
                    "if these are no processes of the site, use --force."
                )
            time.sleep(0.1)


def load(dumped: Path, written_by: int, before_commit: Callable[[], None]) -> None:
    """
    Replace the whole database with the dump, in one transaction.

    COMMIT is sent only after the whole dump was read: psql can't tell a truncated dump from a complete one.
    """
    least = max(written_by, server_version())
    pg_restore, version = program("pg_restore", least)
    psql, _version = program("psql", version)
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    reading = [str(pg_restore), "--no-owner", "--no-privileges", "--no-comments", "--file=-", str(dumped)]
    options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"]
    with tempfile.TemporaryFile() as complaints, tempfile.TemporaryFile() as doubts:
        start = command(psql, *options) | {"stderr": complaints}
        with (
            subprocess.Popen(**start, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as writer,
            subprocess.Popen(reading, stdout=subprocess.PIPE, stderr=doubts) as reader,  # noqa: S603
        ):
            assert writer.stdin and reader.stdout  # noqa: S101  # for mypy
            try:
                writer.stdin.write(f"BEGIN;{EMPTY}".encode())
                shutil.copyfileobj(reader.stdout, writer.stdin)
                if reader.wait():
                    raise BackupError(f"pg_restore failed: {said_in(doubts)} Nothing was changed.")
                before_commit()
                writer.stdin.write(b"\nCOMMIT;\n")
                writer.stdin.close()
            except BrokenPipeError:
                reader.kill()
                with suppress(BrokenPipeError):
                    writer.stdin.close()
            except BaseException:
                # Without a COMMIT, psql changes nothing.
                reader.kill()
                writer.kill()
                raise
            if writer.wait():
                raise BackupError(f"psql failed: {said_in(complaints)}")


def said_in(file: IO[bytes]) -> str:
    """Return the first line of what a program wrote to stderr."""
    file.seek(0)
    return first_line(file.read(10_000))


def first_line(said: bytes) -> str:
    """Return the first line that is not empty."""
    return next(lines(said), "it gave no reason.")


def lines(said: bytes) -> Iterator[str]:
    """Yield the lines that are not empty."""
    return (line.strip() for line in said.decode(errors="replace").splitlines() if line.strip())

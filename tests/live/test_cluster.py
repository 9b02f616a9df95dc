"""
Several real processes on one database: one that disagrees with the others says so; one migrate runs at a time, and
leaves others their locks.
"""

import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests import install
from tests.servers import ROOT, Postgres, Site

AGREED = 20.0  # seconds; a process that is not ready checks every two


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if not install.postgres_folder():
        pytest.skip("PostgreSQL is not installed")
    with Postgres() as server:
        site = Site({"DATABASE_URL": server.url})
        site.manage("migrate", "--verbosity", "0")
        shutil.rmtree(site.folder)
        yield server


@pytest.fixture
def database(server: Postgres) -> str:
    """The URL of a new database with all migrations."""
    return new_database(server, "postgres")


def new_database(server: Postgres, template: str) -> str:
    name = f"site_{uuid.uuid4().hex}"
    with psycopg.connect(server.url.replace("/postgres", "/template1"), autocommit=True) as owner:
        owner.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return server.url.replace("/postgres", f"/{name}")


def until(condition: Callable[[], object], within: float = AGREED) -> float:
    """Wait for the condition; returns how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + within
        time.sleep(0.05)
    return time.monotonic() - began


@contextmanager
def launched(site: Site) -> Iterator[Site]:
    """A process that may never become ready."""
    site.launch()
    try:
        yield site
    finally:
        site.stop()
        shutil.rmtree(site.folder, ignore_errors=True)


def shared(database: str, **more: str) -> dict[str, str]:
    return {"DATABASE_URL": database, "SECRET_KEY": "shared by all", **more}


def test_a_process_with_another_key_is_ready_only_after_the_first_has_ended(database: str) -> None:
    with Site(shared(database)) as first, launched(Site(shared(database, SECRET_KEY="another"))) as second:
        until(lambda: second.readiness() == "SECRET_KEY differs from the other processes'")
        assert first.is_ready()
        assert f"process {first.process and first.process.pid} on" in second.log.read_text()
        assert "another" not in second.log.read_text().replace("Another", "")
        first.stop()
        took = until(second.is_ready)
        print(f"ready {took:.1f} s after the other had ended")
        assert second.log.read_text().count("Not ready") == 1


def test_a_killed_process_delays_others_on_its_machine_only_briefly(database: str) -> None:
    first = Site(shared(database)).start()
    with launched(Site(shared(database, SECRET_KEY="another"), folder=first.folder)) as second:
        until(lambda: "SECRET_KEY" in second.readiness())
        assert first.process
        first.process.kill()
        first.process.wait()
        until(second.is_ready, within=5.0)


def test_static_files_collected_for_only_one_process_are_reported(database: str) -> None:
    collected = Site(shared(database))
    collected.manage("collectstatic", "--no-input", "--verbosity", "0")
    with collected, launched(Site(shared(database))) as second:
        until(lambda: second.readiness() == "the set of static files differs from the other processes'")
        assert "manage.py collectstatic" in second.log.read_text()


def test_a_clock_that_is_hours_behind_is_reported(database: str) -> None:
    astray = shared(database, CLOCK_AHEAD="-7200")
    with (
        Site(shared(database)) as first,
        launched(Site(astray, application="tests.live.astray:application")) as second,
    ):
        until(lambda: second.readiness() == "the clock differs from the database's")
        assert "7200 s behind" in second.log.read_text()
        assert first.is_ready()


def test_a_process_started_before_the_migrations_is_ready_after_them(server: Postgres) -> None:
    empty = new_database(server, "template0")
    with launched(Site(shared(empty))) as site:
        until(lambda: "migrations are not applied" in site.readiness())
        site.manage("migrate", "--verbosity", "0")
        until(site.is_ready)


def migrate(site: Site) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "migrate", "--verbosity", "1"],
        cwd=ROOT,
        env=site.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_of_two_simultaneous_migrates_one_waits_and_has_nothing_to_do(
    kind: str, request: pytest.FixtureRequest
) -> None:
    environment = {}
    if kind == "postgresql":
        environment["DATABASE_URL"] = new_database(request.getfixturevalue("server"), "template0")
    site = Site(environment)
    both = [migrate(site) for _ in range(2)]
    said = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sorted("No migrations to apply" in out for out, _ in said) == [False, True]
    [waited] = [err for out, err in said if "No migrations" in out]
    # On a busy machine the second may start after the first has finished.
    assert waited in {"", "Another migrate is under way. Waiting for it, 10 minutes at most.\n"}
    site.manage("migrate", "--check")
    shutil.rmtree(site.folder)


def test_a_migrate_that_waits_too_long_says_so(database: str) -> None:
    code = """
import django
django.setup()
from django.core.management import execute_from_command_line
from apps.core.management.commands import migrate
migrate.MIGRATE_SECONDS = 0.3
execute_from_command_line(["manage.py", "migrate"])
"""
    site = Site(shared(database))
    with psycopg.connect(database) as other:
        # The lock that `migrate` takes; operators may look for its number in pg_locks.
        other.execute("SELECT pg_advisory_xact_lock(%s)", [0x7061_726C_6579_0002])
        environment = site.variables() | {"DJANGO_SETTINGS_MODULE": "config.settings"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("CommandError: Another migrate has been under way")
    shutil.rmtree(site.folder)


# Takes the table's lock as every write does, and changes nothing.
WRITE = "UPDATE chat_message SET body = body WHERE false"


def test_others_write_while_an_index_of_messages_is_built(database: str) -> None:
    site = Site(shared(database))
    site.manage("migrate", "chat", "0003", "--verbosity", "0")
    building = (
        b"SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(database) as first, psycopg.connect(database, autocommit=True) as other:
        first.execute(WRITE)
        migration = migrate(site)
        until(lambda: other.execute(building).fetchone())
        other.execute("SET lock_timeout = '1s'")
        other.execute(WRITE)
        first.commit()
        assert migration.communicate(timeout=60)[1] == ""
        valid = other.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'deleted_in_order'::regclass")
        assert valid.fetchall() == [(True,)]
    shutil.rmtree(site.folder)


def test_an_index_that_was_cut_off_is_built_anew(database: str) -> None:
    site = Site(shared(database))
    site.manage("migrate", "chat", "0003", "--verbosity", "0")
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("CREATE INDEX deleted_in_order ON chat_message (room_id)")
        other.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'deleted_in_order'::regclass")
        site.manage("migrate", "--verbosity", "0")
        found = other.execute(
            "SELECT indisvalid, indnatts FROM pg_index WHERE indexrelid = 'deleted_in_order'::regclass"
        )
        assert found.fetchall() == [(True, 2)]
    shutil.rmtree(site.folder)


def test_a_migration_does_not_queue_for_a_lock_with_everybody_behind_it(database: str) -> None:
    site = Site(shared(database))
    site.manage("migrate", "chat", "0002", "--verbosity", "0")
    told = site.folder / "told"
    with psycopg.connect(database) as backup, psycopg.connect(database, autocommit=True) as other:
        backup.execute("SELECT 1 FROM chat_message")
        with told.open("w") as file:
            migration = subprocess.Popen(
                [sys.executable, "manage.py", "migrate"], cwd=ROOT, env=site.variables(), stderr=file
            )
            until(lambda: "Trying again" in told.read_text(), within=60)
            other.execute("SET lock_timeout = '2s'")
            other.execute("SELECT 1 FROM chat_message")
            backup.commit()
            assert migration.wait(timeout=60) == 0
    site.manage("migrate", "--check")
    shutil.rmtree(site.folder)

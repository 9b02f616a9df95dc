"""Backups of a site in use: what is restored, and what refused or killed restores leave."""

import http.client
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest

from tests import install
from tests.scenes import people
from tests.servers import DATABASE, ROOT, Postgres, Site, migrated_file

TOKEN = "a" * 32
PASSWORD = "parley-demo"
MESSAGES = 500


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if not install.postgres_folder():
        pytest.skip("PostgreSQL is not installed")
    with Postgres() as server:
        with psycopg.connect(server.url, autocommit=True) as owner:
            # A site's role owns its database, but is not a superuser.
            owner.execute("CREATE ROLE site LOGIN PASSWORD 'secret'")
        yield server


def new_database(owner: psycopg.Connection, template: str = "template1") -> str:
    """Make a database for a site; returns its name."""
    name = f"site_{uuid.uuid4().hex}"
    owner.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER site".encode())
    return name


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def prepared(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A stopped site with users, messages, a picture, a file and a key; the other sites are copies of it."""
    site = Site()
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("server")
        with psycopg.connect(server.url, autocommit=True) as owner:
            name = new_database(owner)
        site.environment["DATABASE_URL"] = f"postgres://site:secret@127.0.0.1:{server.port}/{name}"
        site.manage("migrate", "--verbosity", "0")
    else:
        shutil.copy(migrated_file(), site.folder / DATABASE)
    site.populate(users=2, rooms=1, messages=MESSAGES)
    site.run(people.store_picture, "user0001")
    (site.folder / "media" / "ab").mkdir(parents=True)
    (site.folder / "media" / "ab" / "minutes ü.txt").write_bytes(b"minutes" * 400_000)
    yield site
    shutil.rmtree(site.folder)


@pytest.fixture(scope="module")
def backup(prepared: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the prepared site."""
    folder = tmp_path_factory.mktemp("backups") / "first"
    prepared.manage("backup", str(folder))
    return folder


@pytest.fixture
def site(prepared: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A copy of the prepared site."""
    site = Site()
    shutil.copytree(prepared.folder, site.folder, dirs_exist_ok=True)
    if not is_sqlite(prepared):
        server: Postgres = request.getfixturevalue("server")
        with psycopg.connect(server.url, autocommit=True) as owner:
            name = new_database(owner, prepared.environment["DATABASE_URL"].rpartition("/")[2])
        site.environment["DATABASE_URL"] = f"postgres://site:secret@127.0.0.1:{server.port}/{name}"
    yield site
    site.stop()
    shutil.rmtree(site.folder)


def is_sqlite(site: Site) -> bool:
    """Whether the site's database is a file."""
    return "DATABASE_URL" not in site.environment


def session_keys(site: Site) -> list[str]:
    """The session keys of the users that `populate` signed in."""
    return (site.folder / "sessions").read_text().splitlines()


def request(site: Site, method: str, path: str, key: str = "", **form: str) -> tuple[int, str]:
    """Send a request with this session; returns the status and where it redirects."""
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)) as wire:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"sessionid={key}; csrftoken={TOKEN}",
            "X-CSRFToken": TOKEN,
        }
        wire.request(method, path, urlencode(form), headers)
        answer = wire.getresponse()
        answer.read()
        return answer.status, answer.getheader("Location") or ""


@dataclass
class Talk:
    """Users who keep posting, and which of their messages were stored."""

    site: Site
    stored: list[str] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def keep_posting(self, key: str) -> None:
        """Post until told to stop, about ten times a second."""
        while not self.is_over.wait(0.08):
            body = f"Said at last {uuid.uuid4()}"
            form = {"body": body, "client_id": str(uuid.uuid4())}
            status, _ = request(self.site, "POST", "/rooms/room-001/messages/", key, **form)
            if status == 303:
                self.stored.append(body)
            else:
                self.failed.append(status)

    def wait_for(self, count: int) -> None:
        """Return when this many more messages have been stored."""
        wanted, deadline = len(self.stored) + count, time.monotonic() + 30
        while len(self.stored) < wanted:
            assert time.monotonic() < deadline, self.failed
            time.sleep(0.01)


@contextmanager
def talk(site: Site) -> Iterator[Talk]:
    """Have users post during the block."""
    going = Talk(site)
    threads = [threading.Thread(target=going.keep_posting, args=[key]) for key in session_keys(site)]
    for thread in threads:
        thread.start()
    try:
        yield going
    finally:
        going.is_over.set()
        for thread in threads:
            thread.join()


def asked(site: Site, question: str) -> list[tuple[object, ...]]:
    """The rows that the site's database returns."""
    if is_sqlite(site):
        with closing(sqlite3.connect(site.folder / DATABASE, isolation_level=None)) as database:
            return database.execute(question).fetchall()
    with psycopg.connect(site.environment["DATABASE_URL"], autocommit=True) as server:
        found = server.execute(question)
        return found.fetchall() if found.description else []


def messages(site: Site) -> list[tuple[object, ...]]:
    """All messages."""
    return asked(site, "SELECT id, seq, changed_seq, author_id, body, html FROM chat_message ORDER BY id")


def pictures(site: Site) -> list[tuple[object, ...]]:
    """All profile pictures."""
    return asked(site, "SELECT key, small, large FROM accounts_picture ORDER BY id")


def files(site: Site) -> dict[str, bytes]:
    """The files under MEDIA_ROOT, and the key."""
    folder = site.folder / "media"
    found = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return found | {"key": (site.folder / "secret_key").read_bytes()}


def destroy(site: Site) -> None:
    """Destroy the site, like a lost disk."""
    if is_sqlite(site):
        shutil.rmtree(site.folder)
        site.folder.mkdir()
        # SQLite would take this for the new database's log.
        (site.folder / f"{DATABASE}-wal").write_bytes(b"remains of another database")
        return
    shutil.rmtree(site.folder / "media")
    (site.folder / "secret_key").unlink()
    with psycopg.connect(site.environment["DATABASE_URL"], autocommit=True) as database:
        database.execute("DROP OWNED BY CURRENT_USER CASCADE")
        # What a newer version may have added.
        database.execute("CREATE TABLE later (id serial)")
        database.execute("CREATE VIEW latest AS SELECT max(id) FROM later")
        database.execute("CREATE FUNCTION latest() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        database.execute("CREATE TEXT SEARCH CONFIGURATION later (COPY = simple)")


def test_a_backup_under_load_restores_every_earlier_message(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    keys = session_keys(site)
    site.start()
    with talk(site) as talking:
        talking.wait_for(20)
        before = list(talking.stored)
        site.manage("backup", str(folder))
        talking.wait_for(5)
    assert not talking.failed
    site.stop()
    was, pictures_were, files_were = messages(site), pictures(site), files(site)
    destroy(site)

    site.manage("restore", str(folder))
    now = messages(site)

    assert pictures_were
    assert pictures(site) == pictures_were
    assert files(site) == files_were
    bodies = {row[4] for row in now}
    assert bodies.issuperset(before)
    # One moment of the site: every message up to then, and none after.
    assert now == was[: len(now)]
    assert MESSAGES + len(before) <= len(now) < len(was)
    site.start()
    assert request(site, "GET", "/accounts/profile/", keys[0])[0] == 302
    assert request(site, "POST", "/accounts/login/", login="user0001", password=PASSWORD) == (302, "/")
    if is_sqlite(site):
        assert asked(site, "PRAGMA integrity_check") == [("ok",)]
    else:
        assert asked(site, "SELECT to_regclass('later'), to_regclass('latest'), to_regproc('latest')") == [(None,) * 3]


def change(site: Site) -> None:
    """Change the site after its backup."""
    asked(site, "UPDATE chat_message SET body = 'Changed since'")
    (site.folder / "media" / "ab" / "minutes ü.txt").unlink()
    (site.folder / "media" / "later.txt").write_text("later")
    (site.folder / "secret_key").write_text("another key")


def state(site: Site) -> tuple[object, ...]:
    """Everything that a restore changes."""
    return messages(site), asked(site, "SELECT count(*) FROM django_session"), files(site)


def serving(site: Site) -> str:
    """The error of a process started to serve the site; empty if it would have kept running."""
    code = "import django; django.setup(); from apps.core import running; running.serve()"
    return python(site, code).stderr.strip()


def python(site: Site, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python as one of the site's processes."""
    environment = site.variables() | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_restoring_a_changed_site_undoes_the_changes(site: Site, backup: Path, prepared: Site) -> None:
    change(site)
    said = site.manage("restore", str(backup), "--yes")
    assert said.startswith("The site is restored. Start it.\nSessions ended: 2.")
    assert state(site) == (messages(prepared), [(0,)], files(prepared))
    assert not serving(site)


def test_an_older_backup_is_migrated_when_restored(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    said = messages(site)
    site.manage("migrate", "chat", "0001", "--verbosity", "0")
    site.manage("backup", str(folder))
    site.manage("restore", str(folder), "--yes")
    site.manage("migrate", "--check")
    assert messages(site) == said


def test_a_site_with_accounts_is_not_replaced_by_mistake(site: Site, backup: Path) -> None:
    change(site)
    before = state(site)
    with pytest.raises(RuntimeError, match=r"To replace it, add --yes\. Nothing was changed\."):
        site.manage("restore", str(backup))
    assert state(site) == before


def test_a_damaged_backup_changes_nothing(site: Site, backup: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(backup, damaged)
    file = next(damaged.glob("database.*"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    before = state(site)
    with pytest.raises(RuntimeError, match="is not as it was written"):
        site.manage("restore", str(damaged), "--yes")
    assert state(site) == before
    assert not serving(site)


def test_a_running_site_is_not_replaced(site: Site, backup: Path) -> None:
    site.start()
    before = state(site)
    with pytest.raises(RuntimeError, match=r"The site is running.*Stop it first"):
        site.manage("restore", str(backup), "--yes", "--force")
    assert state(site) == before


@pytest.mark.parametrize("prepared", ["postgresql"], indirect=True)
def test_a_site_running_on_another_machine_is_not_replaced(site: Site, backup: Path) -> None:
    change(site)
    with psycopg.connect(site.environment["DATABASE_URL"], autocommit=True):
        with pytest.raises(RuntimeError, match=r"1 others are connected to the database\. Stop the site"):
            site.manage("restore", str(backup), "--yes")
        site.manage("restore", str(backup), "--yes", "--force")
    assert messages(site)[0][4] != "Changed since"


KILLED = """
import os, signal, django
django.setup()
from django.core.management import call_command
from apps.core.backups import postgres, restoring, sqlite

whole = {function}
def until_then(*args, **more):
    if {after}:
        whole(*args, **more)
    os.kill(os.getpid(), signal.SIGKILL)
{function} = until_then
call_command("restore", {folder!r}, yes=True)
"""
# Where it is killed: the function, whether after it, and whether the site is then half restored.
BOTH = [
    ("restoring.take", True, False),
    ("restoring.note_unfinished", False, False),
    ("restoring.note_unfinished", True, True),
    ("restoring.replace_files", False, True),
    ("restoring.replace_files", True, True),
    ("restoring.replace_keys", True, True),
]
OF_ONE = {
    "sqlite": [
        ("restoring.bring_up_to_date", False, False),
        ("restoring.bring_up_to_date", True, False),
        ("sqlite.replace", True, True),
    ],
    "postgresql": [("restoring.bring_up_to_date", False, True)],
}


# One test for each kind of database, so that each is populated once.
@pytest.mark.parametrize("prepared", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("function", "after", "half_restored"), [*BOTH, *OF_ONE["sqlite"]])
def test_a_killed_restore_leaves_the_site_unchanged_or_must_be_finished(
    site: Site, backup: Path, prepared: Site, function: str, after: bool, half_restored: bool
) -> None:
    kill_and_finish(site, backup, prepared, function, after=after, half_restored=half_restored)


@pytest.mark.parametrize("prepared", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("function", "after", "half_restored"), [*BOTH, *OF_ONE["postgresql"]])
def test_a_killed_restore_on_postgresql_does_so_too(
    site: Site, backup: Path, prepared: Site, function: str, after: bool, half_restored: bool
) -> None:
    kill_and_finish(site, backup, prepared, function, after=after, half_restored=half_restored)


def kill_and_finish(
    site: Site, backup: Path, prepared: Site, function: str, *, after: bool, half_restored: bool
) -> None:
    """Kill a restore at a function's start or end, check the site, and then finish the restore."""
    change(site)
    before = state(site)
    done = python(site, KILLED.format(function=function, after=after, folder=str(backup)))
    assert done.returncode == -signal.SIGKILL, done.stderr
    if half_restored:
        assert f"Finish it: python manage.py restore {backup}" in serving(site)
    else:
        assert not serving(site)
        assert state(site) == before

    site.manage("restore", str(backup), "--yes")

    assert state(site) == (messages(prepared), [(0,)], files(prepared))
    assert not serving(site)
    assert not [left for left in site.folder.iterdir() if "restoring" in left.name]


@pytest.mark.parametrize("prepared", ["postgresql"], indirect=True)
def test_an_unreachable_database_is_reported_without_a_traceback(site: Site, backup: Path, tmp_path: Path) -> None:
    site.environment["DATABASE_URL"] = "postgres://site:secret@127.0.0.1:1/site"
    for command in (["backup", str(tmp_path / "backup")], ["restore", str(backup), "--yes"]):
        with pytest.raises(RuntimeError, match=r"CommandError: The database refuses: .*\n$") as failed:
            site.manage(*command)
        assert "Traceback" not in str(failed.value)


def test_a_terminated_backup_leaves_nothing_behind(prepared: Site, tmp_path: Path) -> None:
    slow = """
import time, django
django.setup()
from django.core.management import call_command
from apps.core.backups import copies
copies.write = lambda *args: (print("writing", flush=True), time.sleep(60))
call_command("backup", {folder!r})
"""
    environment = prepared.variables() | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    code = slow.format(folder=str(tmp_path / "backup"))
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"writing\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.terminate()
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []

"""Backups of a site that is in use; what comes back, and what a restore does that is refused or killed."""

import http.client
import json
import shutil
import sqlite3
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
from tests.servers import DATABASE, Postgres, Site, migrated_file

TOKEN = "a" * 32
PASSWORD = "parley-demo"
MESSAGES = 500
ROWS = """
import base64, json
from apps.accounts.models import Picture
rows = [[m.pk, m.seq, m.changed_seq, m.author_id, m.body, m.html] for m in Message.objects.order_by("pk")]
pictures = [[p.key, base64.b64encode(bytes(p.large)).decode()] for p in Picture.objects.order_by("pk")]
print(json.dumps({"messages": rows, "pictures": pictures}))
"""
PICTURE = """
from apps.accounts import pictures
user = User.objects.get(username="user0001")
pictures.store(user=user, small=bytes(range(256)), large=bytes(range(255, -1, -1)) * 40)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if not install.postgres_folder():
        pytest.skip("PostgreSQL is not installed")
    with Postgres() as server:
        with psycopg.connect(server.url, autocommit=True) as owner:
            # Who runs a site owns its database, and is no superuser.
            owner.execute("CREATE ROLE site LOGIN PASSWORD 'secret'")
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site that is not running, with people, messages, a picture, a file and a key."""
    site = Site()
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("server")
        name = f"site_{uuid.uuid4().hex}"
        with psycopg.connect(server.url, autocommit=True) as owner:
            owner.execute(f"CREATE DATABASE {name} OWNER site")
        site.environment["DATABASE_URL"] = f"postgres://site:secret@127.0.0.1:{server.port}/{name}"
        site.manage("migrate", "--verbosity", "0")
    else:
        shutil.copy(migrated_file(), site.folder / DATABASE)
    site.populate(users=2, rooms=1, messages=MESSAGES)
    site.shell(PICTURE)
    (site.folder / "media" / "ab").mkdir(parents=True)
    (site.folder / "media" / "ab" / "minutes ü.txt").write_bytes(b"minutes" * 400_000)
    try:
        yield site
    finally:
        site.stop()
        shutil.rmtree(site.folder)


def is_sqlite(site: Site) -> bool:
    """Whether its database is a file."""
    return "DATABASE_URL" not in site.environment


def session_keys(site: Site) -> list[str]:
    """Of the people whom `populate` has signed in."""
    return (site.folder / "sessions").read_text().splitlines()


def request(site: Site, method: str, path: str, key: str = "", **form: str) -> tuple[int, str]:
    """What a browser with this session is answered: the status, and where it is sent."""
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
    """Two people who go on posting, and which of their messages were stored."""

    site: Site
    stored: list[str] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def go_on(self, key: str) -> None:
        """Post until told to stop, some ten times a second."""
        while not self.is_over.wait(0.08):
            body = f"Said at last {uuid.uuid4()}"
            form = {"body": body, "client_id": str(uuid.uuid4())}
            status, _ = request(self.site, "POST", "/rooms/room-001/messages/", key, **form)
            if status == 303:
                self.stored.append(body)
            else:
                self.failed.append(status)

    def wait_for(self, count: int) -> None:
        """Return when this many have been stored since."""
        wanted, deadline = len(self.stored) + count, time.monotonic() + 30
        while len(self.stored) < wanted:
            assert time.monotonic() < deadline, self.failed
            time.sleep(0.01)


@contextmanager
def talk(site: Site) -> Iterator[Talk]:
    """People post meanwhile."""
    going = Talk(site)
    threads = [threading.Thread(target=going.go_on, args=[key]) for key in session_keys(site)]
    for thread in threads:
        thread.start()
    try:
        yield going
    finally:
        going.is_over.set()
        for thread in threads:
            thread.join()


def rows(site: Site) -> dict[str, list[list[object]]]:
    """The messages and pictures in its database."""
    found: dict[str, list[list[object]]] = json.loads(site.shell(ROWS))
    return found


def files(site: Site) -> dict[str, bytes]:
    """What lies under MEDIA_ROOT, and the key."""
    folder = site.folder / "media"
    found = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return found | {"key": (site.folder / "secret_key").read_bytes()}


def destroy(site: Site) -> None:
    """As a lost disk does."""
    if is_sqlite(site):
        shutil.rmtree(site.folder)
        site.folder.mkdir()
        # What SQLite would take for the new file's.
        (site.folder / f"{DATABASE}-wal").write_bytes(b"remains of another database")
        return
    shutil.rmtree(site.folder / "media")
    (site.folder / "secret_key").unlink()
    with psycopg.connect(site.environment["DATABASE_URL"], autocommit=True) as database:
        database.execute("DROP OWNED BY CURRENT_USER CASCADE")
        database.execute("CREATE TABLE later (id integer)")


def test_a_backup_under_load_brings_back_all_that_was_said_before_it(site: Site, tmp_path: Path) -> None:
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
    was, files_were = rows(site), files(site)
    destroy(site)

    site.manage("restore", str(folder))
    now = rows(site)

    assert now["pictures"] == was["pictures"]
    assert files(site) == files_were
    bodies = {row[4] for row in now["messages"]}
    assert bodies.issuperset(before)
    # One moment of the site: what was said up to then, and nothing of what came later.
    assert now["messages"] == was["messages"][: len(now["messages"])]
    assert MESSAGES + len(before) <= len(now["messages"]) < len(was["messages"])
    site.start()
    assert request(site, "GET", "/accounts/profile/", keys[0])[0] == 302
    assert request(site, "POST", "/accounts/login/", login="user0001", password=PASSWORD) == (302, "/")
    if is_sqlite(site):
        with closing(sqlite3.connect(site.folder / DATABASE)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    else:
        with psycopg.connect(site.environment["DATABASE_URL"]) as database:
            assert database.execute("SELECT to_regclass('later')").fetchone() == (None,)

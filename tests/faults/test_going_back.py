"""A database that goes back in time under running processes: open pages show what it now contains."""

import asyncio
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests import install
from tests.faults.crowd import Faults, Page, fresh_items
from tests.faults.test_faults import living
from tests.scenes import people, rooms
from tests.servers import Postgres, Redis, Site

ROOM = "room-001"
# Seconds until every page is current: processes poll every 20 to 30 s, or at once when its marks (checked every 15 s)
# show that the database is another; then pages reconnect at random moments.
NOTICED = 40.0
KEPT = """
CREATE SCHEMA kept;
CREATE TABLE kept.room AS SELECT * FROM rooms_room;
CREATE TABLE kept.message AS SELECT * FROM chat_message;
CREATE TABLE kept.membership AS SELECT * FROM rooms_membership;
"""
GO_BACK = """
BEGIN;
DELETE FROM chat_message WHERE id NOT IN (SELECT id FROM kept.message);
UPDATE rooms_room SET last_seq = kept.last_seq, message_count = kept.message_count
    FROM kept.room kept WHERE kept.id = rooms_room.id;
UPDATE rooms_membership SET last_read_seq = kept.last_read_seq, read_count = kept.read_count
    FROM kept.membership kept WHERE kept.id = rooms_membership.id;
COMMIT;
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Redis, Postgres]]:
    if not install.redis_server() or not install.postgres_folder():
        pytest.skip("Redis or PostgreSQL is not installed")
    with Redis() as redis, Postgres() as postgres:
        yield redis, postgres


@contextmanager
def two_processes(redis: Redis, postgres: Postgres) -> Iterator[tuple[Site, Site, str]]:
    """Two processes on their own database, and its name."""
    name = f"site_{uuid.uuid4().hex}"
    with owner(postgres) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = postgres.url.replace("/postgres", f"/{name}")
    environment = {"REDIS_URL": redis.url, "DATABASE_URL": url, "SECRET_KEY": "shared"}
    with Site(environment) as first, Site(environment | {"SITE_URL": first.url}, folder=first.folder) as second:
        yield first, second, name


@contextmanager
def owner(postgres: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        yield connection


def pages_of(sites: tuple[Site, Site], keys: list[str]) -> list[Page]:
    """Pages of a room, which connect to either process."""
    faults = Faults()

    def address() -> str:
        return random.choice(sites).socket_url

    return [Page(address, sites[0].url, key, ROOM, faults) for key in keys]


async def say(page: Page, *bodies: str) -> None:
    for body in bodies:
        page.say(body)
    async with asyncio.timeout(30):
        while page.outbox:
            await asyncio.sleep(0.01)


async def until_all_are_current(pages: list[Page], site: Site, key: str) -> float:
    """Wait until each page is the same as the room's page when loaded; returns how long that took."""
    began = time.monotonic()
    while True:
        fresh: list[str] = []
        # 503 for a moment if the connections were cut.
        with suppress(OSError):
            fresh = await asyncio.to_thread(fresh_items, site.url, key, ROOM)
        shown = [[item for _, (_, item) in sorted(page.shown.items())] for page in pages]
        if fresh and all(fresh == one[-len(fresh) :] and len(one) == len(fresh) for one in shown):
            return time.monotonic() - began
        assert time.monotonic() < began + NOTICED, [(len(one), len(fresh)) for one in shown]
        await asyncio.sleep(0.2)


async def scene_numbers_go_back(sites: tuple[Site, Site], postgres: Postgres, name: str, keys: list[str]) -> float:
    pages = pages_of(sites, keys)
    with psycopg.connect(postgres.url.replace("/postgres", f"/{name}"), autocommit=True) as connection:
        async with living(pages):
            await say(pages[0], *(f"Kept {number}" for number in range(5)))
            connection.execute(KEPT.encode())
            await say(pages[0], *(f"Lost {number}" for number in range(10)))
            await until_all_are_current(pages, sites[0], keys[0])
            connection.execute(GO_BACK.encode())
            await say(pages[1], "New")
            took = await until_all_are_current(pages, sites[0], keys[0])
            await say(pages[2], "And live again")
            assert await until_all_are_current(pages, sites[0], keys[0]) < 5.0
    assert all("New" in str(page.shown) and "Lost" not in str(page.shown) for page in pages)
    assert not pages[0].faults.found, pages[0].faults.found
    return took


def test_running_processes_notice_that_the_database_went_back(servers: tuple[Redis, Postgres]) -> None:
    with two_processes(*servers) as (first, second, name):
        keys = first.populate(users=8, rooms=1)
        took = asyncio.run(scene_numbers_go_back((first, second), servers[1], name, keys))
        print(f"every page showed the truth after {took:.1f} s")
        assert first.run(rooms.unread_count, "user0001", ROOM) >= 0


async def until_ended(pages: list[Page]) -> float:
    """Wait until every page was told that it is signed out; returns how long that took."""
    began = time.monotonic()
    while not all("closed with 4401" in " ".join(page.faults.found) for page in pages):
        assert time.monotonic() < began + NOTICED, [page.faults.found for page in pages]
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def scene_a_restore(sites: tuple[Site, Site], keys: list[str], elsewhere: Site, backup: Path) -> float:
    pages = [page for key in keys for page in pages_of(sites, [key])]  # each records its own faults
    async with living(pages):
        await say(pages[0], *(f"Kept {number}" for number in range(5)))
        await asyncio.to_thread(sites[0].manage, "backup", str(backup))
        await say(pages[0], *(f"Lost {number}" for number in range(10)))
        await until_all_are_current(pages, sites[0], keys[0])
        await asyncio.to_thread(elsewhere.manage, "restore", str(backup), "--yes", "--force")
        return await until_ended(pages)


async def scene_all_is_as_before(sites: tuple[Site, Site], keys: list[str]) -> None:
    pages = pages_of(sites, keys)
    async with living(pages):
        await say(pages[1], "New")
        assert await until_all_are_current(pages, sites[1], keys[0]) < 5.0
        await say(pages[2], "And live again")
        assert await until_all_are_current(pages, sites[0], keys[0]) < 5.0
    assert all("New" in str(page.shown) and "Kept 4" in str(page.shown) for page in pages)
    assert not any("Lost" in str(page.shown) for page in pages)
    assert not pages[0].faults.found, pages[0].faults.found


def test_running_processes_notice_a_restore_from_another_machine(
    servers: tuple[Redis, Postgres], tmp_path: Path
) -> None:
    """Sessions are not restored: every open page closes. Users who sign in again see what the backup contained."""
    with two_processes(*servers) as (first, second, _name):
        keys = first.populate(users=8, rooms=1)
        elsewhere = Site(first.environment, folder=tmp_path / "elsewhere")
        elsewhere.folder.mkdir()
        took = asyncio.run(scene_a_restore((first, second), keys, elsewhere, tmp_path / "backup"))
        print(f"every page had ended after {took:.1f} s")
        assert first.is_ready()
        assert second.is_ready()
        asyncio.run(scene_all_is_as_before((first, second), first.run(people.new_sessions)))
        for site in (first, second):
            assert "Traceback" not in site.log.read_text(), site.log.read_text()[-5000:]

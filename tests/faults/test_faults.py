"""
Many users post and read while something breaks; then what each was told and shown is checked against the database.

In `make test` each fault lasts some seconds. The full run has at least 100,000 posts (about 20 minutes):

    FAULTS=full .venv/bin/python -m pytest tests/faults -s
"""

import asyncio
import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from bench.load import handshake
from tests import install
from tests.faults.crowd import Faults, Page, fresh_items
from tests.faults.proxy import Proxy
from tests.scenes import rooms, talk
from tests.servers import FRAMES, Postgres, Redis, Site

IS_FULL = os.environ.get("FAULTS") == "full"
ROOMS = 4
WRITERS = 24 if IS_FULL else 12
# The number of posts during each fault, which happens again and again.
POSTS = 14_500 if IS_FULL else 240
# Pause between a page's posts in the short run, so that it lasts as long as the fault; the full run has no pauses.
THINKING = 0.0 if IS_FULL else 0.2
# Maximum seconds for one scene.
LONGEST = 1800 if IS_FULL else 150
# Seconds for everything to arrive once nothing is broken: a page notices a dead connection after 45.
SETTLE_SECONDS = 120


@dataclass
class Stage:
    """Two processes of the site, Redis, PostgreSQL, and the open pages."""

    redis: Redis
    postgres: Postgres
    sites: list[Site]
    keys: list[str]
    faults: Faults = field(default_factory=Faults)
    pages: list[Page] = field(default_factory=list)
    # Where some pages connect instead of directly to the sites.
    proxies: list[str] = field(default_factory=list)

    def page(self, number: int, *, is_behind_proxy: bool = True) -> Page:
        """A user's page, which connects to a random process each time, as through a load balancer."""

        def address() -> str:
            return random.choice((is_behind_proxy and self.proxies) or [site.socket_url for site in self.sites])

        origin = self.sites[0].url
        page = Page(address, origin, self.keys[number % len(self.keys)], slug_of(number), self.faults)
        self.pages.append(page)
        return page


def slug_of(number: int) -> str:
    return f"room-{number % ROOMS + 1:03}"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Redis, Postgres]]:
    if not install.redis_server() or not install.postgres_folder():
        pytest.skip("Redis or PostgreSQL is not installed")
    with Redis() as redis, Postgres() as postgres:
        yield redis, postgres


@contextmanager
def on_stage(redis: Redis, postgres: Postgres, **more: str) -> Iterator[Stage]:
    """Start two processes that share everything, as behind a load balancer."""
    environment = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.url, "SECRET_KEY": "shared", **more}
    first = Site(environment)
    environment["SITE_URL"] = first.url
    with first, Site(environment, folder=first.folder) as second:
        yield Stage(redis, postgres, [first, second], first.populate(users=WRITERS, rooms=ROOMS))


@pytest.fixture(scope="module")
def sturdy(servers: tuple[Redis, Postgres]) -> Iterator[Stage]:
    with on_stage(*servers) as stage:
        yield stage


@pytest.fixture
def stage(sturdy: Stage) -> Iterator[Stage]:
    """The same servers for each scene, with its own pages."""
    yield Stage(sturdy.redis, sturdy.postgres, sturdy.sites, sturdy.keys)
    for site in sturdy.sites:
        log = site.log.read_text()
        assert "Exception inside application" not in log, log[-5000:]
        assert "ERROR apps" not in log, log[-5000:]


@asynccontextmanager
async def living(pages: list[Page]) -> AsyncIterator[None]:
    """Keep the pages connected during the block."""
    tasks = [asyncio.create_task(page.live()) for page in pages]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def write(page: Page, number: int, count: int) -> None:
    """Post this many messages from one page, each after the last was acknowledged."""
    for turn in range(count):
        page.say(f"w{number}-{turn}-{os.urandom(4).hex()}")
        while page.outbox:
            await asyncio.sleep(0.005)
        await asyncio.sleep(THINKING * random.random() * 2)


async def settled(stage: Stage) -> None:
    """Wait until every page has reached its room's number in the database."""
    heads = await asyncio.to_thread(stage.sites[0].run, rooms.last_numbers)
    deadline = time.monotonic() + SETTLE_SECONDS
    while behind := [page for page in stage.pages if page.head < heads[page.slug]]:
        assert time.monotonic() < deadline, [(page.slug, page.head, heads[page.slug], page.socket) for page in behind]
        await asyncio.sleep(0.1)


def check(stage: Stage) -> dict[str, int]:
    """Check what each page was told and shown against the database; returns figures, or fails with the differences."""
    messages = stage.sites[0].run(talk.all_stored)
    by_client = {one["client_id"]: (one["message"], one["room"], one["body"]) for one in messages}
    by_room: dict[str, dict[int, int]] = {}
    for one in messages:
        by_room.setdefault(one["room"], {})[one["seq"]] = one["message"]
    found = stage.faults.found
    copies = Counter(one["body"] for one in messages if one["body"].startswith("w"))
    found += [f"{body} is stored {count} times" for body, count in copies.items() if count > 1]
    for page in stage.pages:
        found += [f"{post.body} was never answered" for post in page.outbox]
        for post in page.told:
            if by_client.get(post.client_id) != (post.message, page.slug, post.body):
                found.append(f"{post.body} was acknowledged but is not stored like that")
        found += out_of_order(page, messages)
        found += not_as_stored(page, by_room[page.slug])
    for slug in {page.slug for page in stage.pages}:
        found += not_as_fresh(stage, slug)
    assert not found, "\n".join(found[:20])
    return {
        "posts": len(messages),
        "acknowledged": sum(len(page.told) for page in stage.pages),
        "frames": sum(page.frames for page in stage.pages),
        "sent again on reconnecting": sum(page.again for page in stage.pages),
        "connects": sum(page.connects for page in stage.pages),
    }


def out_of_order(page: Page, messages: list[talk.Stored]) -> list[str]:
    """A page's posts must be in the room in the order they were sent."""
    numbers = {one["client_id"]: one["seq"] for one in messages}
    said = [numbers[post.client_id] for post in page.told if post.client_id in numbers]
    return [] if said == sorted(said) else [f"posts of a page of {page.slug} are stored in another order"]


def not_as_stored(page: Page, messages: dict[int, int]) -> list[str]:
    """From its first message on, a page must have each message of its room exactly once."""
    first = min(page.shown, default=0)
    expected = {seq: pk for seq, pk in messages.items() if seq >= first}
    shown = {seq: pk for seq, (pk, _) in page.shown.items()}
    return [] if shown == expected else [f"a page of {page.slug} shows {len(shown)} of {len(expected)} messages"]


def not_as_fresh(stage: Stage, slug: str) -> list[str]:
    """The end of each open page must be identical to the room's page when loaded."""
    fresh = fresh_items(stage.sites[0].url, stage.keys[0], slug)
    pages = [page for page in stage.pages if page.slug == slug]
    ends = [[item for _, (_, item) in sorted(page.shown.items())][-len(fresh) :] for page in pages]
    return [f"a page of {slug} differs from the page when loaded" for end in ends if end != fresh]


async def through(stage: Stage, fault: Callable[[], Awaitable[None]]) -> None:
    """Have everyone post while the fault happens again and again; then wait until every page has everything."""
    writers = [stage.page(number) for number in range(WRITERS)]
    # Pages that only read notice a dead connection only by its silence, which takes too long for a short run.
    readers = [stage.page(number, is_behind_proxy=IS_FULL) for number in range(WRITERS)]
    async with living(writers + readers):
        work = [write(page, number, POSTS // WRITERS) for number, page in enumerate(writers)]
        writing = asyncio.create_task(all_of(work))
        breaking = asyncio.create_task(repeat(fault))
        # If the fault itself fails, no one would get an answer any more.
        await asyncio.wait({writing, breaking}, return_when=asyncio.FIRST_COMPLETED)
        breaking.cancel()
        with suppress(asyncio.CancelledError):
            await breaking
        await writing
        await settled(stage)


async def all_of(work: list[Coroutine[None, None, None]]) -> None:
    await asyncio.gather(*work)


async def repeat(fault: Callable[[], Awaitable[None]]) -> None:
    """Cause the fault until cancelled, but never stop in the middle of it, since it also repairs what it broke."""
    while True:
        await asyncio.sleep(random.uniform(0.3, 2.0))
        one = asyncio.ensure_future(fault())
        try:
            await asyncio.shield(one)
        except asyncio.CancelledError:
            await one
            raise


def run(stage: Stage, fault: Callable[[], Awaitable[None]]) -> None:
    """One scene, from the first post to the check."""
    began = time.monotonic()
    asyncio.run(asyncio.wait_for(through(stage, fault), timeout=LONGEST))
    figures = check(stage)
    print(f"{figures} in {time.monotonic() - began:.0f} s")


def test_nothing_is_lost_when_processes_are_killed(stage: Stage) -> None:
    async def kill() -> None:
        site = random.choice(stage.sites)
        site.stop(signal.SIGKILL)
        await asyncio.to_thread(site.start)

    run(stage, kill)


def test_nothing_is_lost_when_processes_are_restarted_in_turn(stage: Stage) -> None:
    turn = iter(range(10**6))

    async def leave() -> None:
        site = stage.sites[next(turn) % 2]
        await asyncio.to_thread(site.stop)
        await asyncio.to_thread(site.start)

    run(stage, leave)


def test_nothing_is_lost_when_redis_is_killed(stage: Stage) -> None:
    async def kill() -> None:
        stage.redis.stop(signal.SIGKILL)
        await asyncio.sleep(1)
        stage.redis.start()

    run(stage, kill)


def test_nothing_is_lost_when_postgresql_restarts(stage: Stage) -> None:
    async def restart() -> None:
        await asyncio.to_thread(stage.postgres.stop)
        await asyncio.sleep(random.random())
        await asyncio.to_thread(stage.postgres.start)
        await asyncio.sleep(2)

    run(stage, restart)


def test_nothing_is_lost_when_the_layer_drops_one_broadcast_in_ten(servers: tuple[Redis, Postgres]) -> None:
    async def wait() -> None:
        pass

    with on_stage(*servers, DJANGO_SETTINGS_MODULE="tests.faults.lossy") as stage:
        run(stage, wait)


@pytest.mark.parametrize("how", ["cut before the answer", "fallen silent"])
def test_nothing_is_lost_when_connections_break(stage: Stage, how: str) -> None:
    async def scene() -> None:
        proxies = [Proxy(site.port) for site in stage.sites]
        stage.proxies = [f"ws://127.0.0.1:{await proxy.start()}" for proxy in proxies]

        async def cut() -> None:
            await random.choice(proxies).cut_before_the_answer(random.random() / 2)

        async def fall_silent() -> None:
            proxy = random.choice(proxies)
            proxy.is_silent = True
            await asyncio.sleep(random.random() * 2)
            proxy.is_silent = False

        await through(stage, cut if how == "cut before the answer" else fall_silent)
        for proxy in proxies:
            await proxy.stop()

    began = time.monotonic()
    asyncio.run(asyncio.wait_for(scene(), timeout=LONGEST))
    print(f"{check(stage)} in {time.monotonic() - began:.0f} s")


def test_readers_that_stop_reading_harm_no_one(stage: Stage) -> None:
    deaf = [open_and_never_read(stage.sites[0], stage.keys[0], slug_of(number)) for number in range(100)]

    async def wait() -> None:
        pass

    run(stage, wait)
    for connection in deaf:
        connection.close()


def open_and_never_read(site: Site, key: str, slug: str) -> socket.socket:
    """A socket of a room's page whose reader is stuck."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", site.port))
    connection.sendall(handshake(f"/ws/rooms/{slug}/?{FRAMES}&since=0", f"sessionid={key}", site.port))
    return connection

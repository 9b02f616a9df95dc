"""
Many people post and read while something breaks; afterwards what each was told and shown is held against the database.

In `make test` each fault takes some seconds. In full, with at least 100,000 posts (about 20 minutes):

    FAULTS=full .venv/bin/python -m pytest tests/faults -s
"""

import asyncio
import json
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
from tests.servers import FRAMES, Postgres, Redis, Site

IS_FULL = os.environ.get("FAULTS") == "full"
ROOMS = 4
WRITERS = 24 if IS_FULL else 12
# For each fault: so many posts, while it happens again and again.
POSTS = 14_500 if IS_FULL else 240
# Between two posts of a page where the run is short, so that it lasts as long as the fault; in full nobody waits.
THINKING = 0.0 if IS_FULL else 0.2
# Seconds that a scene may take.
LONGEST = 1800 if IS_FULL else 150
# Seconds for all to arrive once nothing is broken any more: a page notices a dead connection after 45.
SETTLE_SECONDS = 120


@dataclass
class Stage:
    """Two processes of the site, Redis and PostgreSQL, and the people on them."""

    redis: Redis
    postgres: Postgres
    sites: list[Site]
    keys: list[str]
    faults: Faults = field(default_factory=Faults)
    pages: list[Page] = field(default_factory=list)
    # Where some pages connect instead of to the sites themselves.
    proxies: list[str] = field(default_factory=list)

    def page(self, number: int, *, is_behind_proxy: bool = True) -> Page:
        """Somebody's page; each time it connects to another of the processes, as through a load balancer."""

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
    """The same servers for each scene, and people of its own."""
    yield Stage(sturdy.redis, sturdy.postgres, sturdy.sites, sturdy.keys)
    for site in sturdy.sites:
        log = site.log.read_text()
        assert "Exception inside application" not in log, log[-5000:]
        assert "ERROR apps" not in log, log[-5000:]


@asynccontextmanager
async def living(pages: list[Page]) -> AsyncIterator[None]:
    """Pages that stay connected meanwhile."""
    tasks = [asyncio.create_task(page.live()) for page in pages]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def write(page: Page, number: int, count: int) -> None:
    """Post so many messages from one page, each when the last is answered."""
    for turn in range(count):
        page.say(f"w{number}-{turn}-{os.urandom(4).hex()}")
        while page.outbox:
            await asyncio.sleep(0.005)
        await asyncio.sleep(THINKING * random.random() * 2)


async def settled(stage: Stage) -> None:
    """Wait until every page of a room stands at the same number as the database."""
    code = "import json; print(json.dumps(dict(Room.objects.values_list('slug', 'last_seq'))))"
    heads = json.loads(await asyncio.to_thread(stage.sites[0].shell, code))
    deadline = time.monotonic() + SETTLE_SECONDS
    while behind := [page for page in stage.pages if page.head < heads[page.slug]]:
        assert time.monotonic() < deadline, [(page.slug, page.head, heads[page.slug], page.socket) for page in behind]
        await asyncio.sleep(0.1)


def stored(site: Site) -> list[tuple[int, str, int, str, str, str]]:
    """Every message: its id, room, number, author, id of the sender, text."""
    file = site.folder / "stored.json"
    site.shell(
        "import json;"
        "rows = Message.objects.order_by('room', 'seq').values_list("
        "'pk', 'room__slug', 'seq', 'author__username', 'client_id', 'body');"
        f"open({str(file)!r}, 'w').write(json.dumps([[*row[:4], str(row[4]), row[5]] for row in rows]))"
    )
    return [tuple(row) for row in json.loads(file.read_text())]


def check(stage: Stage) -> dict[str, int]:
    """Hold what each page was told and shown against the database; gives figures. Fails with what does not agree."""
    rows = stored(stage.sites[0])
    by_client = {client: (pk, room, body) for pk, room, _, _, client, body in rows}
    by_room: dict[str, dict[int, int]] = {}
    for pk, room, seq, *_ in rows:
        by_room.setdefault(room, {})[seq] = pk
    found = stage.faults.found
    copies = Counter(body for *_, body in rows if body.startswith("w"))
    found += [f"{body} is stored {count} times" for body, count in copies.items() if count > 1]
    for page in stage.pages:
        found += [f"{post.body} was never answered" for post in page.outbox]
        for post in page.told:
            if by_client.get(post.client_id) != (post.message, page.slug, post.body):
                found.append(f"{post.body} was acknowledged and is not stored so")
        found += out_of_order(page, rows)
        found += not_as_stored(page, by_room[page.slug])
    for slug in {page.slug for page in stage.pages}:
        found += not_as_fresh(stage, slug)
    assert not found, "\n".join(found[:20])
    return {
        "posts": len(rows),
        "acknowledged": sum(len(page.told) for page in stage.pages),
        "frames": sum(page.frames for page in stage.pages),
        "told again on reconnecting": sum(page.again for page in stage.pages),
        "connects": sum(page.connects for page in stage.pages),
    }


def out_of_order(page: Page, rows: list[tuple[int, str, int, str, str, str]]) -> list[str]:
    """What one page said must stand in the room in the order in which it was said."""
    numbers = {client: seq for _, _, seq, _, client, _ in rows}
    said = [numbers[post.client_id] for post in page.told if post.client_id in numbers]
    return [] if said == sorted(said) else [f"posts of a page of {page.slug} stand in another order"]


def not_as_stored(page: Page, messages: dict[int, int]) -> list[str]:
    """From its first message on, a page must have each message of its room, once, and no other."""
    first = min(page.shown, default=0)
    expected = {seq: pk for seq, pk in messages.items() if seq >= first}
    shown = {seq: pk for seq, (pk, _) in page.shown.items()}
    return [] if shown == expected else [f"a page of {page.slug} shows {len(shown)} of {len(expected)} messages"]


def not_as_fresh(stage: Stage, slug: str) -> list[str]:
    """The end of each page of a room must be, to the letter, what the room's page is when it is loaded."""
    fresh = fresh_items(stage.sites[0].url, stage.keys[0], slug)
    pages = [page for page in stage.pages if page.slug == slug]
    ends = [[item for _, (_, item) in sorted(page.shown.items())][-len(fresh) :] for page in pages]
    return [f"a page of {slug} is not as it is when loaded" for end in ends if end != fresh]


async def through(stage: Stage, fault: Callable[[], Awaitable[None]]) -> None:
    """Let everybody write, and the fault happen again and again meanwhile; then wait until all have everything."""
    writers = [stage.page(number) for number in range(WRITERS)]
    # Who only reads notices a dead connection by nothing but its silence, which takes too long for a short run.
    readers = [stage.page(number, is_behind_proxy=IS_FULL) for number in range(WRITERS)]
    async with living(writers + readers):
        work = [write(page, number, POSTS // WRITERS) for number, page in enumerate(writers)]
        writing = asyncio.create_task(all_of(work))
        breaking = asyncio.create_task(repeat(fault))
        # Should what breaks things break itself, nobody would get an answer any more.
        await asyncio.wait({writing, breaking}, return_when=asyncio.FIRST_COMPLETED)
        breaking.cancel()
        with suppress(asyncio.CancelledError):
            await breaking
        await writing
        await settled(stage)


async def all_of(work: list[Coroutine[None, None, None]]) -> None:
    await asyncio.gather(*work)


async def repeat(fault: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled; never within one, since what it broke it also mends."""
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


def test_nothing_is_lost_when_one_process_after_another_is_told_to_leave(stage: Stage) -> None:
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
def test_nothing_is_lost_when_connections_are(stage: Stage, how: str) -> None:
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


def test_readers_that_stop_reading_harm_nobody(stage: Stage) -> None:
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

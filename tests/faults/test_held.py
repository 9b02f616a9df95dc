"""
One row of the database is locked, and everything else keeps working.

In `make test` it is locked for some seconds; in full, for a minute: FAULTS=full .venv/bin/python -m pytest tests/faults
"""

import asyncio
import http.client
import itertools
import json
import signal
import sqlite3
import statistics
import time
import urllib.parse
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest

from tests import install
from tests.faults.crowd import Page
from tests.faults.test_faults import IS_FULL, WRITERS, Stage, check, living, on_stage, settled
from tests.servers import DATABASE, Postgres, Redis, Site

HELD = 60.0 if IS_FULL else 8.0
# How long the usual speed is measured.
USUAL = 20.0 if IS_FULL else 8.0
ROOM = "room-001"
PASSWORD = "parley-demo"  # set by `populate`
# Seconds that a busy machine may add.
GRACE = 0.15
TOKEN = "a" * 32
STOPPED = "stopped"


@pytest.fixture
def stage() -> Iterator[Stage]:
    if not install.redis_server() or not install.postgres_folder():
        pytest.skip("Redis or PostgreSQL is not installed")
    with Redis() as redis, Postgres() as postgres, on_stage(redis, postgres) as stage:
        yield stage


@dataclass
class Answers:
    """Answers of the site by kind of request: their statuses and how long they took."""

    statuses: dict[str, set[int]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def note(self, kind: str, status: int, seconds: float) -> None:
        self.statuses.setdefault(kind, set()).add(status)
        self.seconds.setdefault(kind, []).append(seconds)

    def median(self, kind: str) -> float:
        return statistics.median(self.seconds[kind])


def ask(site: Site, path: str, key: str = "", form: dict[str, str] | None = None) -> tuple[int, str]:
    """The status and text of an answer, to a POST if there is a form; status 0 if none arrives."""
    headers = {"Cookie": f"sessionid={key}; csrftoken={TOKEN}; scripts=run"}
    body = None
    if form is not None:
        body = urllib.parse.urlencode(form | {"csrfmiddlewaretoken": TOKEN})
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=HELD + 30)
    try:
        connection.request("POST" if form is not None else "GET", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def everything_else(site: Site, keys: list[str], turn: int) -> Iterator[tuple[str, Callable[[], tuple[int, str]]]]:
    """Requests that need no lock on the room, including reading it."""
    key = keys[turn % len(keys)]
    yield "alive", lambda: ask(site, "/livez")
    yield "alive with a session", lambda: ask(site, "/livez", key)
    yield "ready", lambda: ask(site, "/readyz")
    yield "the rooms", lambda: ask(site, "/", key)
    yield "the room's page", lambda: ask(site, f"/rooms/{ROOM}/", key)
    yield "a read mark", lambda: ask(site, f"/rooms/{ROOM}/read/", key, {"seq": str(turn)})
    yield "another room's page", lambda: ask(site, "/rooms/room-002/", key)
    text = {"body": f"w-other-{uuid.uuid4()}", "client_id": str(uuid.uuid4())}
    yield "a post to another room", lambda: ask(site, "/rooms/room-002/messages/", key, text)
    if turn % 3:
        return
    # Hashing a password keeps a process busy in any case.
    sign_in = {"login": f"user{turn % WRITERS + 1:04}", "password": PASSWORD}
    yield "signing in", lambda: ask(site, "/accounts/login/", "", sign_in)


USUAL_STATUS = {"a read mark": {204}, "a post to another room": {303}, "signing in": {302}}


async def ask_all(sites: list[Site], keys: list[str], answers: Answers) -> None:
    """Send all the other requests, one after another, until cancelled."""
    for turn in itertools.count():
        for kind, request in everything_else(sites[turn % len(sites)], keys, turn):
            began = time.monotonic()
            status, _ = await asyncio.to_thread(request)
            answers.note(kind, status, time.monotonic() - began)


async def post_by_form(sites: list[Site], keys: list[str], answers: Answers) -> None:
    """Post to the room by a plain form until cancelled; posts that must wait are sent again."""
    texts = (f"w-form-{uuid.uuid4()}" for _ in itertools.count())
    for turn, text in enumerate(texts):
        form, status = {"body": text, "client_id": str(uuid.uuid4())}, 503
        while status == 503:
            began = time.monotonic()
            site, key = sites[turn % len(sites)], keys[turn % len(keys)]
            status, page = await asyncio.to_thread(ask, site, f"/rooms/{ROOM}/messages/", key, form)
            answers.note("a post by form", status, time.monotonic() - began)
            if status == 503 and f"{text}</textarea>" not in page:
                answers.note("a text that was not kept", status, 0)
            await asyncio.sleep(0.3)


async def write_all_the_time(page: Page, number: int) -> None:
    """Post from one page, until cancelled."""
    for turn in itertools.count():
        page.say(f"w-{number}-{turn}-{uuid.uuid4()}")
        while page.outbox:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)


async def answers_during(stage: Stage, sites: list[Site], seconds: float) -> Answers:
    """The answers during this many seconds in which many users post to the room."""
    answers = Answers()
    writers = [page for page in stage.pages if page.slug == ROOM]
    tasks = [asyncio.create_task(write_all_the_time(page, number)) for number, page in enumerate(writers)]
    tasks += [asyncio.create_task(post_by_form(sites, stage.keys, answers)) for _ in range(WRITERS)]
    tasks.append(asyncio.create_task(ask_all(sites, stage.keys, answers)))
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return answers


@contextmanager
def row_locked(postgres: Postgres, query: str) -> Iterator[None]:
    """Hold the locks that the query takes."""
    with psycopg.connect(postgres.url) as holder:
        holder.execute(query)
        yield
        holder.rollback()


THE_ROOM = f"SELECT 1 FROM rooms_room WHERE slug = '{ROOM}' FOR UPDATE"


def compare(usual: Answers, held: Answers) -> list[str]:
    """What went wrong while the row was locked."""
    kinds = [kind for kind, _ in everything_else(Site(), ["-"], 0)]
    found = [f"{kind}: never requested while it was locked" for kind in kinds if kind not in held.seconds]
    for kind in set(kinds) & set(held.seconds):
        expected = USUAL_STATUS.get(kind, {200})
        if held.statuses[kind] != expected:
            found.append(f"{kind}: {held.statuses[kind]}")
        if kind not in usual.seconds:
            found.append(f"{kind}: never requested before")
        elif held.median(kind) > 2 * usual.median(kind) + GRACE:
            found.append(f"{kind}: {held.median(kind):.2f} s, usually {usual.median(kind):.2f} s")
    if "a text that was not kept" in held.statuses:
        found.append("a page that says to wait does not keep the text")
    return found


def run(stage: Stage, sites: list[Site], hold: Callable[[], Awaitable[Answers]]) -> None:
    """Measure the usual answers, lock something, and compare; then every post must have been stored."""

    async def scene() -> tuple[Answers, Answers]:
        # One thread for each client.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4 * WRITERS))
        for number in range(WRITERS):
            page = stage.page(number)
            page.slug = ROOM
            page.address = lambda number=number: sites[number % len(sites)].socket_url  # type: ignore[misc]
        async with living(stage.pages):
            await answers_during(stage, sites, USUAL / 2)  # warm up
            usual = await answers_during(stage, sites, USUAL)
            held = await hold()
            deadline = time.monotonic() + 60
            while any(page.outbox for page in stage.pages):
                assert time.monotonic() < deadline, "not all was stored afterwards"
                await asyncio.sleep(0.1)
            await settled(stage)
        return usual, held

    usual, held = asyncio.run(scene())
    both = sorted(set(usual.seconds) & set(held.seconds))
    print({kind: (f"{usual.median(kind):.3f}", f"{held.median(kind):.3f}") for kind in both})
    print({kind: f"{max(times):.3f}" for kind, times in held.seconds.items()}, held.statuses)
    assert not compare(usual, held)
    assert 503 in held.statuses.get("a post by form", set())
    print(check(stage))
    for site in sites:
        log = site.log.read_text()
        assert "Traceback" not in log, log[-5000:]
        assert len(log.splitlines()) < 200, log[-5000:]


def test_a_locked_room_blocks_nothing_else(stage: Stage) -> None:
    async def hold() -> Answers:
        with row_locked(stage.postgres, THE_ROOM):
            return await answers_during(stage, stage.sites, HELD)

    run(stage, stage.sites, hold)


def test_a_process_stopped_in_a_transaction_blocks_nothing_else(stage: Stage) -> None:
    first, second = stage.sites
    second.stop()
    second.environment = {**second.environment, "DATABASE_URL": f"{stage.postgres.url}?application_name={STOPPED}"}
    second.start()

    async def hold() -> Answers:
        form = {"body": "w-stopped", "client_id": str(uuid.uuid4())}
        # It waits for the room's lock, is stopped, and then gets the lock.
        with row_locked(stage.postgres, THE_ROOM):
            posting = asyncio.create_task(
                asyncio.to_thread(ask, second, f"/rooms/{ROOM}/messages/", stage.keys[0], form)
            )
            while not waits_for_a_lock(stage.postgres, STOPPED):
                await asyncio.sleep(0.01)
            assert second.process
            second.process.send_signal(signal.SIGSTOP)
        try:
            answers = await answers_during(stage, [first], HELD)
        finally:
            second.process.send_signal(signal.SIGCONT)
        status, _ = await posting
        assert status in {303, 503}
        return answers

    run(stage, [first], hold)


def waits_for_a_lock(postgres: Postgres, name: str) -> bool:
    """Whether the process with this application name is waiting for a lock."""
    question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = %s"
    with psycopg.connect(postgres.url) as connection:
        waiting = connection.execute(question, [name]).fetchone()
    return bool(waiting and waiting[0])


@contextmanager
def file_locked(site: Site) -> Iterator[None]:
    """Lock SQLite's file, like an operator who begins a transaction in a shell and walks away."""
    with closing(sqlite3.connect(site.folder / DATABASE, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


def test_a_locked_sqlite_file_can_still_be_read() -> None:
    with Site() as site:
        keys = site.populate(users=WRITERS, rooms=2, messages=4)
        for path in ("/", f"/rooms/{ROOM}/", "/accounts/login/"):
            ask(site, path, keys[0])
        with file_locked(site), ThreadPoolExecutor(WRITERS) as threads, site.page(keys[0]) as page:
            forms = [{"body": f"Kept {number}", "client_id": str(uuid.uuid4())} for number in range(WRITERS)]
            posts = [
                threads.submit(ask, site, f"/rooms/{ROOM}/messages/", key, form)
                for key, form in zip(keys, forms, strict=True)
            ]
            sign_in = threads.submit(ask, site, "/accounts/login/", "", {"login": "user0001", "password": PASSWORD})
            page.send(json.dumps({"body": "By socket", "client_id": str(uuid.uuid4())}))
            while not all(post.done() for post in posts):
                for path in ("/livez", "/readyz", "/", f"/rooms/{ROOM}/"):
                    began = time.monotonic()
                    assert ask(site, path, keys[0])[0] == 200
                    assert time.monotonic() - began < 2, path
                # A page can connect, and gets what it missed.
                with site.page(keys[1], query="since=0") as another:
                    assert "<hx-seq" in str(another.recv(timeout=5))
            for post, form in zip(posts, forms, strict=True):
                status, text = post.result()
                assert status == 503
                assert f"{form['body']}</textarea>" in text
            status, text = sign_in.result()
            assert (status, "This is busy at the moment" in text) == (503, True)
            while "<hx-delayed" not in (frame := str(page.recv(timeout=20))):
                assert "<hx-sent" not in frame
        for form in forms:
            assert ask(site, f"/rooms/{ROOM}/messages/", keys[forms.index(form)], form)[0] == 303

"""
Fifty users do everything at once, by pages and by sockets, on two processes over PostgreSQL and Redis.

Afterwards no one must have got a server error, there must have been no deadlock, every stored count must be right, and
every open page must be the same as a newly loaded one. In `make test` half a minute; in full ten minutes:

    FAULTS=full .venv/bin/python -m pytest tests/faults/test_soak.py -s
"""

import asyncio
import http.client
import json
import os
import random
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from urllib.parse import urlencode

import psycopg
import pytest

from apps.core import limits
from tests import install
from tests.faults.crowd import Page, fresh_items
from tests.faults.test_faults import Stage, settled
from tests.scenes.rooms import wrong_counts
from tests.servers import Postgres, Redis, Site

SECONDS = 600 if os.environ.get("FAULTS") == "full" else 25
ROOMS, READERS, WORKERS = 4, 10, 50
PEOPLE = READERS + WORKERS
TOKEN = "a" * 32
PASSWORD = "correct horse battery 9"
# This is not about rate limits.
MANY = "100000/m/ip"
LIMITS = {
    "RATES": dict.fromkeys(limits.RATES, MANY),
    "ACCOUNT_RATES": dict.fromkeys(limits.ACCOUNT_RATES, MANY) | {"login_failed": limits.ACCOUNT_RATES["login_failed"]},
}
# Authors' names and initials, which open pages don't update.
NAMES = re.compile(r' data-initials="[^"]*"|(?<=<bdi>)[^<]*(?=</bdi>\s*</h3>)')
MINE = re.compile(r'<li id="message-(\d+)"[^>]*data-author="([^"]*)"')


@dataclass
class Answers:
    """The answers that all users got."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    # Paths that were locked for too long, which can happen on a busy machine.
    busy: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)


@dataclass
class Person:
    """A user with a browser, who does random things. `rooms` are the rooms that all of them create."""

    name: str
    sites: list[Site]
    key: str
    answers: Answers
    rooms: list[str]

    def ask(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        """The status and text of the answer of one of the processes."""
        site = random.choice(self.sites)
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        headers = {"Cookie": f"sessionid={self.key}; csrftoken={TOKEN}; scripts=1", "X-CSRFToken": TOKEN}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            body = None if form is None else urlencode(form)
            connection.request("GET" if form is None else "POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if found := re.search(r"sessionid=(\w+)", answer.headers.get("Set-Cookie", "")):
            self.key = found[1]
        self.answers.statuses[answer.status] += 1
        if answer.status == 503 and "This is busy at the moment" in text:
            self.answers.busy.append(path)
        elif answer.status >= 500:
            said = re.sub(r"<[^>]*>|\s+", " ", text)[-300:]
            self.answers.faults.append(f"{answer.status} for {path}: {said}")
        return answer.status, text

    def any_room(self) -> str:
        """A permanent room, or one of those that come and go."""
        return random.choice([f"room-{random.randint(1, ROOMS):03}", *self.rooms[-6:]])

    def passing(self) -> str:
        return random.choice(self.rooms[-6:] or [self.any_room()])

    def other(self) -> str:
        return f"user{random.randint(READERS + 1, PEOPLE):04}"

    def in_room(self, path: str, **form: str) -> None:
        self.ask(f"/rooms/{self.any_room()}/{path}", form)

    def post(self) -> None:
        self.in_room("messages/", body=f"w{uuid.uuid4().hex}", client_id=str(uuid.uuid4()))

    def change(self, verb: str) -> None:
        """Edit or delete one of the messages shown: an own one, or as a moderator any."""
        slug = self.any_room()
        shown = MINE.findall(self.ask(f"/rooms/{slug}/")[1])
        if found := [pk for pk, author in shown if author == self.name or verb == "delete"]:
            self.ask(f"/rooms/{slug}/messages/{random.choice(found)}/{verb}/", {"body": f"e{uuid.uuid4().hex}"})

    def make_room(self) -> None:
        name = f"soak{uuid.uuid4().hex[:10]}"
        access = random.choice(["open", "public", "private"])
        if self.ask("/rooms/new/", {"name": name, "topic": "", "access": access})[0] == 302:
            self.rooms.append(name)
            for _ in range(3):
                self.ask(f"/rooms/{name}/members/", {"username": self.other()})

    def rename(self) -> None:
        slug = self.passing()
        self.ask(f"/rooms/{slug}/settings/", {"name": slug, "topic": uuid.uuid4().hex, "access": "open"})

    def archive(self) -> None:
        slug = self.passing()
        for archived in "10":
            self.ask(f"/rooms/{slug}/settings/archive/", {"archived": archived})

    def follow(self) -> None:
        """Make an invitation link to a room if allowed, and follow it."""
        slug = self.passing()
        page = self.ask(f"/rooms/{slug}/invitations/", {"note": "", "days": "1", "most_uses": "3"})[1]
        if found := re.search(r"/invitations/([\w-]{40,})/", page):
            self.ask(f"/invitations/{found[1]}/accept/", {})

    def come_and_go(self) -> None:
        """Create an account, post, and close it."""
        guest = Person(f"g{uuid.uuid4().hex[:12]}", self.sites, "", self.answers, self.rooms)
        if guest.ask("/accounts/signup/", {"username": guest.name, "password1": PASSWORD})[0] != 302:
            return
        guest.in_room("join/")
        for _ in range(3):
            guest.post()
        guest.make_room()
        guest.ask("/accounts/username/", {"username": f"h{guest.name}"})
        messages = random.choice(["keep", "delete"])
        guest.ask("/accounts/delete/", {"messages": messages, "username": f"h{guest.name}"})

    def about_another_user(self, path: str, **form: str) -> None:
        self.ask(f"/rooms/{self.passing()}/members/{self.other()}/{path}/", form)

    def verbs(self) -> dict[str, tuple[int, Callable[[], object]]]:
        """Everything a user does, with its relative frequency."""
        return {
            "post": (12, self.post),
            "edit": (4, lambda: self.change("edit")),
            "delete": (4, lambda: self.change("delete")),
            "read": (4, lambda: self.in_room("read/", seq=str(random.randint(1, 500)))),
            "look": (4, lambda: self.ask(random.choice(["/", "/rooms/", f"/rooms/{self.any_room()}/members/"]))),
            "announce": (1, lambda: self.in_room("announcements/", announces="mentions")),
            "join": (5, lambda: self.in_room("join/")),
            "leave": (2, lambda: self.in_room("leave/")),
            "invite": (3, lambda: self.in_room("members/", username=self.other())),
            "decline": (1, lambda: self.in_room("decline/")),
            "withdraw": (1, lambda: self.about_another_user("withdraw")),
            "remove": (1, lambda: self.about_another_user("remove")),
            "role": (1, lambda: self.about_another_user("role", role=random.choice("123"))),
            "hand over": (1, lambda: self.about_another_user("hand-over")),
            "new room": (2, self.make_room),
            "rename": (1, self.rename),
            "archive": (1, self.archive),
            "delete room": (1, lambda: self.ask(f"/rooms/{(slug := self.passing())}/settings/delete/", {"name": slug})),
            "follow": (1, self.follow),
            "profile": (1, lambda: self.ask("/accounts/profile/", {"display_name": f"d{uuid.uuid4().hex[:8]}"})),
            "picture": (1, lambda: self.ask("/accounts/profile/picture/remove/", {})),
            "preferences": (1, lambda: self.ask("/accounts/preferences/", {"density": "compact"})),
            "devices": (1, lambda: self.ask("/accounts/sessions/end-others/", {})),
            "come and go": (1, self.come_and_go),
        }

    def live(self, until: float) -> None:
        verbs = self.verbs()
        names, weights = list(verbs), [weight for weight, _ in verbs.values()]
        while time.monotonic() < until:
            (verb,) = random.choices(names, weights)
            try:
                verbs[verb][1]()
                self.answers.done[verb] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers.faults.append(f"{verb}: {error!r}")


class Reader(Page):
    """A page of a room, where changed messages may be anywhere."""

    def show(self, text: str, *, is_live: bool) -> None:
        super().show(text, is_live=is_live and "<hx-upsert" in text)


@contextmanager
def stage_of(redis: Redis, postgres: Postgres) -> Iterator[Stage]:
    """Two processes without rate limits."""
    environment = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.url, "SECRET_KEY": "shared"}
    environment["LIMITS"] = json.dumps(LIMITS)
    first = Site(environment, application="tests.live.hasty:application")
    environment["SITE_URL"] = first.url
    with first, Site(environment, folder=first.folder, application=first.application) as second:
        keys = first.populate(users=PEOPLE, rooms=ROOMS, messages=40)
        yield Stage(redis, postgres, [first, second], keys)


async def crowd(stage: Stage, people: list[Person]) -> None:
    """Have everyone do random things while some read; then wait until all readers have everything."""
    loop, until = asyncio.get_running_loop(), time.monotonic() + SECONDS
    for number in range(READERS):
        address = random.choice(stage.sites).socket_url
        slug = f"room-{number % ROOMS + 1:03}"
        page = Reader(lambda at=address: at, stage.sites[0].url, stage.keys[number], slug, stage.faults)  # type: ignore[misc]
        stage.pages.append(page)
    tasks = [asyncio.create_task(page.live()) for page in stage.pages]
    with ThreadPoolExecutor(WORKERS) as threads:
        working = [loop.run_in_executor(threads, person.live, until) for person in people]
        while time.monotonic() < until:
            random.choice(stage.pages).say(f"s{uuid.uuid4().hex}")
            await asyncio.sleep(0.2)
        await asyncio.gather(*working)
    await settled(stage)
    while any(page.outbox for page in stage.pages):
        await asyncio.sleep(0.05)
    await settled(stage)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_fifty_users_doing_everything_at_once_cause_no_errors() -> None:
    if not install.redis_server() or not install.postgres_folder():
        pytest.skip("Redis or PostgreSQL is not installed")
    answers = Answers()
    with Redis() as redis, Postgres() as postgres, stage_of(redis, postgres) as stage:
        rooms: list[str] = []
        people = [
            Person(f"user{number + 1:04}", stage.sites, stage.keys[number], answers, rooms)
            for number in range(READERS, PEOPLE)
        ]
        asyncio.run(asyncio.wait_for(crowd(stage, people), timeout=SECONDS + 180))
        with psycopg.connect(postgres.url) as connection:
            row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'").fetchone()
        print(dict(answers.statuses), dict(answers.done), f"deadlocks: {row}")
        assert not answers.faults, "\n".join(answers.faults[:20])
        assert len(answers.busy) <= answers.statuses.total() / 1000, answers.busy
        assert row == (0,)
        assert stage.sites[0].run(wrong_counts) == []
        for page in stage.pages:
            assert not differences(stage, page), page.slug
        assert not stage.faults.found, stage.faults.found[:10]
        for site in stage.sites:
            log = site.log.read_text()
            assert "Exception inside application" not in log, log[-5000:]
            assert "Traceback" not in log, log[-5000:]
    assert len(answers.done) == len(people[0].verbs())


def differences(stage: Stage, page: Page) -> list[tuple[str, str]]:
    """The pairs of messages that differ between the end of the open page and the page when loaded now."""
    fresh = [NAMES.sub("", item) for item in fresh_items(stage.sites[0].url, stage.keys[0], page.slug)]
    shown = [NAMES.sub("", item) for _, (_, item) in sorted(page.shown.items())][-len(fresh) :]
    return [pair for pair in zip_longest(shown, fresh, fillvalue="") if pair[0] != pair[1]]

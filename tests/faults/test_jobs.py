"""
Jobs while their processes are killed.

The full run is JOBS=1000 KILLS=8; `make test` uses fewer.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes
from email.message import Message
from functools import partial
from typing import Any

import psycopg
import pytest

from tests import install, servers
from tests.servers import Site

JOBS, KILLS = int(os.environ.get("JOBS", "150")), int(os.environ.get("KILLS", "4"))
MAILS = JOBS // 5
WORKERS = 3
LIMITS = {"JOB_LEASE_SECONDS": 3.0, "JOB_BEAT_SECONDS": 0.5, "JOB_POLL_SECONDS": 0.2, "JOB_RETRY_SECONDS": 0.2}


def variables(site: Site) -> dict[str, str]:
    return {
        **site.variables(),
        "LIMITS": json.dumps(LIMITS),
        "SAMPLES": str(site.folder),
        "EMAIL_URL": f"filemail:///{site.folder}/mails",
    }


def drive(site: Site, *arguments: object) -> str:
    command = [sys.executable, "-m", "tests.jobs.driver", *map(str, arguments)]
    return subprocess.run(
        command, cwd=servers.ROOT, env=variables(site), check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def tell(site: Site) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(drive(site, "tell"))
    return told


class Worker:
    """A worker process."""

    def __init__(self, site: Site, number: int) -> None:
        self.log = site.folder / f"worker-{number}.log"
        self.site = site
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.jobs.driver", "work"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=servers.ROOT, env=variables(self.site), stdout=log, stderr=log)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)


@contextmanager
def workers(site: Site, count: int = WORKERS) -> Iterator[list[Worker]]:
    found = [Worker(site, number) for number in range(count)]
    try:
        yield found
    finally:
        for one in found:
            if one.process.poll() is None:
                servers.stop(one.process)


@contextmanager
def migrated(postgres: servers.Postgres | None) -> Iterator[Site]:
    """Yield a migrated site without a web process."""
    site = Site({"DATABASE_URL": postgres.url} if postgres else {})
    site.manage("migrate", "--verbosity", "0")
    try:
        yield site
    finally:
        shutil.rmtree(site.folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "sqlite":
        with migrated(None) as site:
            yield site
        return
    if not install.postgres_folder():
        pytest.skip("no PostgreSQL")
    with servers.Postgres() as postgres, migrated(postgres) as site:
        yield site


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def statuses(site: Site) -> dict[str, int]:
    """Return how many jobs have each status, by SQL rather than through a process of the site."""
    asked = (
        "SELECT status, count(*) FROM django_tasks_database_dbtaskresult"
        " WHERE task_path LIKE 'tests.%' OR task_path LIKE '%outgoing.send' GROUP BY 1"
    )
    if url := site.environment.get("DATABASE_URL"):
        with psycopg.connect(url) as connection:
            return dict(connection.execute(asked).fetchall())
    with closing(sqlite3.connect(site.folder / servers.DATABASE, timeout=20)) as file:
        return dict(file.execute(asked).fetchall())


def mails(site: Site) -> list[Message]:
    """Return the mails that were sent, without those whose process died while writing them."""
    texts = [text for file in (site.folder / "mails").iterdir() for text in file.read_bytes().split(b"-" * 79 + b"\n")]
    return [one for text in texts if (one := message_from_bytes(text))["To"]]


def has_done(site: Site, count: int) -> bool:
    return statuses(site).get("SUCCESSFUL", 0) >= count


def test_no_job_is_lost_when_processes_are_killed_and_database_changes_happen_once(site: Site) -> None:
    drive(site, "fill", JOBS, JOBS // 9, MAILS)
    with workers(site) as those:
        until(partial(has_done, site, 1))
        begun = time.monotonic()
        for kill in range(1, KILLS + 1):
            # Kill while all workers are busy.
            until(partial(has_done, site, kill * (JOBS + MAILS) // (KILLS + 1)))
            for one in those if kill == KILLS else [random.choice(those)]:
                one.end(signal.SIGKILL)
                one.start()
        until(lambda: statuses(site) == {"SUCCESSFUL": JOBS + MAILS}, 120)
    told = tell(site)
    done = {int(number): times for number, times in told["done"].items()}
    twice = [number for number, times in done.items() if times > 1]
    took = time.monotonic() - begun
    print(f"{JOBS} jobs, {KILLS} kills, {took:.1f} s; by number of tries {told['tries']}; sent twice {len(twice)}")
    assert sorted(done) == list(range(JOBS))
    assert set(told["tries"]) > {"1"}
    # A job in one transaction with the record of its success takes effect once; network jobs may run twice.
    assert [number for number in twice if number % 2] == []
    found = mails(site)
    ids = {to: {one["Message-ID"] for one in found if one["To"] == to} for to in {one["To"] for one in found}}
    print(f"{MAILS} mails, sent {len(found)} times")
    assert sorted(ids) == sorted(f"{number}@example.org" for number in range(MAILS))
    assert {to: those for to, those in ids.items() if len(those) != 1} == {}


def test_a_worker_that_is_told_to_stop_finishes_its_job(site: Site) -> None:
    folder = site.folder
    drive(site, "wait", 0)
    with workers(site, 1) as [worker]:
        until(lambda: (folder / "begun-0").exists())
        worker.process.send_signal(signal.SIGTERM)
        # From here on it starts no other job.
        drive(site, "wait", 1)
        (folder / "go-0").touch()
        assert worker.process.wait(15) == 0
    told = tell(site)
    assert (told["statuses"], told["done"]) == ({"SUCCESSFUL": 1, "READY": 1}, {"0": 1})


def test_a_job_that_outlasts_its_worker_is_left_to_the_next(site: Site) -> None:
    drive(site, "wait", 0)
    with workers(site, 1) as [worker]:
        until(lambda: (site.folder / "begun-0").exists())
        begun = time.monotonic()
        assert worker.end() == 0
        assert time.monotonic() - begun < 10
        assert statuses(site) == {"RUNNING": 1}
        (site.folder / "go-0").touch()
        worker.start()
        until(lambda: statuses(site) == {"SUCCESSFUL": 1})
    assert tell(site)["done"] == {"0": 1}


# In the web process


@contextmanager
def served() -> Iterator[Site]:
    """Yield a site of one process, which runs its jobs."""
    site = Site(application="tests.jobs.site:application")
    site.environment["SAMPLES"] = str(site.folder)
    with site:
        yield site


def test_a_single_web_process_runs_jobs_and_finishes_them_at_shutdown() -> None:
    with served() as site:
        drive(site, "wait", 0)
        until(lambda: (site.folder / "begun-0").exists())
        assert site.process
        site.process.send_signal(signal.SIGTERM)
        until(lambda: not site.is_ready())
        (site.folder / "go-0").touch()
        assert site.process.wait(15) == 0
        assert tell(site)["done"] == {"0": 1}
        drive(site, "wait", 1)
        site.start()
        until(lambda: (site.folder / "begun-1").exists())
        site.stop(signal.SIGKILL)
        (site.folder / "go-1").touch()
        site.start()
        until(lambda: statuses(site) == {"SUCCESSFUL": 2})
        assert tell(site)["done"] == {"0": 1, "1": 1}
        assert "Jobs could not be done" not in site.log.read_text()


def test_a_site_with_redis_and_no_worker_runs_its_jobs() -> None:
    if not install.redis_server():
        pytest.skip("no Redis")
    with servers.Redis() as redis:
        site = Site({"REDIS_URL": redis.url}, application="tests.jobs.site:application")
        site.environment["SAMPLES"] = str(site.folder)
        with site:
            drive(site, "fill", 10, 0, 0)
            until(lambda: statuses(site) == {"SUCCESSFUL": 10})
            assert site.readiness() == "ok"

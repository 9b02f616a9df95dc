"""The threads that do jobs."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.db import OperationalError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from apps.core import limits
from apps.core.trouble import all_troubles
from apps.jobs import bells, claims
from apps.jobs import runner as runners
from apps.jobs.models import StoredJob, Worker
from apps.jobs.runner import Runner
from tests.jobs import samples
from tests.jobs.conftest import statuses

pytestmark = pytest.mark.django_db(transaction=True)
WEB, WORKER = Worker.Kind.WEB, Worker.Kind.WORKER


def until(holds: Callable[[], object], seconds: float = 15) -> None:
    """Return once it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def running(kind: Worker.Kind = WORKER) -> Iterator[Runner]:
    runner = Runner(kind)
    runner.start()
    try:
        yield runner
    finally:
        assert runner.join(20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where jobs that wait say that they have begun, and are let go on."""
    monkeypatch.setenv("SAMPLES", str(tmp_path))
    return tmp_path


@pytest.fixture
def _never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOB_POLL_SECONDS", 3600)


@pytest.mark.usefixtures("_never_looks")
def test_what_is_enqueued_in_the_process_begins_at_once_without_looking_for_it() -> None:
    with running() as runner:
        until(lambda: runner.is_needed and Worker.objects.exists())
        with transaction.atomic():
            samples.send.enqueue(1)
            samples.do.enqueue(2)
            assert samples.notes() == []
        until(lambda: samples.notes() == ["1", "2"])


def test_what_others_enqueue_is_found_by_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as runner:
        until(lambda: runner.is_needed)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr("apps.jobs.bells.ring", lambda queue: None)
            samples.do.enqueue(1)
        until(lambda: samples.notes() == ["1"])


def test_several_wait_for_others_at_once_and_those_that_work_do_not_wait_for_them(folder: Path) -> None:
    number = limits.JOB_THREADS["network"]
    with running():
        for one in range(number + 1):
            samples.wait_for_file.enqueue(one)
        until(lambda: len(list(folder.glob("begun-*"))) == number)
        samples.do.enqueue(100)
        until(lambda: samples.notes() == ["100"])
        for one in range(number + 1):
            (folder / f"go-{one}").touch()
        until(lambda: len(samples.notes()) == number + 2)


def test_who_ends_finishes_what_was_begun_and_begins_nothing_more(folder: Path) -> None:
    runner = Runner(WORKER)
    runner.start()
    for number in range(limits.JOB_THREADS["network"] + 1):
        samples.wait_for_file.enqueue(number)
    until(lambda: len(list(folder.glob("begun-*"))) == limits.JOB_THREADS["network"])
    runner.stop_soon()
    for number in range(limits.JOB_THREADS["network"] + 1):
        (folder / f"go-{number}").touch()
    assert runner.join(20)
    assert sorted(statuses()) == ["READY", *["SUCCESSFUL"] * limits.JOB_THREADS["network"]]
    assert not Worker.objects.exists()


def test_who_ends_does_so_though_a_thread_has_cleared_the_bell_before_another_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring, unheard = bells.ring_all, [True]

    def ring_all() -> None:
        if not unheard:
            ring()
        unheard.clear()

    with running() as runner:
        until(lambda: runner.is_needed)
        monkeypatch.setattr(bells, "ring_all", ring_all)
        assert runner.join(5)


def test_who_does_not_end_in_time_says_so_and_keeps_the_job_until_the_process_is_gone(folder: Path) -> None:
    runner = Runner(WORKER)
    runner.start()
    samples.wait_for_file.enqueue(0)
    until(lambda: (folder / "begun-0").exists())
    assert not runner.join(0.2)
    assert (statuses(), Worker.objects.count()) == (["RUNNING"], 1)
    (folder / "go-0").touch()
    assert runner.join(20)


@pytest.mark.usefixtures("regular")
def test_of_several_that_look_all_the_time_each_time_of_a_regular_job_is_done_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "JOB_POLL_SECONDS", 0.01)
    with running(), running(), running():
        until(lambda: len(samples.notes("regularly")) >= 3)
    rows = StoredJob.objects.filter(task_path=samples.regularly.module_path).order_by("enqueued_at")
    times = list(rows.values_list("enqueued_at", flat=True))
    assert len(times) == len(samples.notes("regularly"))
    assert all(later - earlier >= timedelta(seconds=1.9) for earlier, later in pairwise(times))


def worker_beat(seconds_ago: float) -> None:
    Worker.objects.all().delete()
    seen_at = Now() - timedelta(seconds=seconds_ago)
    Worker.objects.create(kind=WORKER, machine="elsewhere", number=1, seen_at=seen_at)


@pytest.mark.parametrize(
    ("redis", "kind", "beat", "is_needed"),
    [
        ("", WEB, None, True),
        ("", WEB, 1, True),
        ("redis://", WEB, None, True),
        ("redis://", WEB, limits.WORKER_SILENCE_SECONDS + 1, True),
        ("redis://", WEB, limits.WORKER_SILENCE_SECONDS - 5, False),
        ("redis://", WORKER, 1, True),
    ],
)
def test_a_process_that_serves_does_jobs_where_no_other_would(
    settings: Settings, redis: str, kind: Worker.Kind, beat: float | None, is_needed: bool
) -> None:
    settings.REDIS_URL = redis
    if beat is not None:
        worker_beat(beat)
    runner = Runner(kind)
    runner.beat()
    assert runner.is_needed is is_needed
    assert Worker.objects.filter(pk=runner.id).exists() is is_needed


def test_a_process_that_stood_in_is_heard_of_until_its_last_job_is_done(settings: Settings) -> None:
    settings.REDIS_URL = "redis://"
    runner = Runner(WEB)
    runner.beat()
    worker_beat(0)
    runner.own.add(runner.id)  # any id
    Worker.objects.filter(pk=runner.id).update(seen_at=Now() - timedelta(seconds=limits.JOB_LEASE_SECONDS - 1))
    runner.beat()
    assert (runner.is_needed, runner.id in claims.living_workers()) == (False, True)
    assert Worker.objects.get(pk=runner.id).seen_at > timezone.now() - timedelta(seconds=10)


def test_no_job_is_claimed_before_others_can_know_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(WORKER)
    needed = []
    monkeypatch.setattr(
        type(Worker.objects), "update_or_create", lambda *args, **kwargs: needed.append(runner.is_needed)
    )
    runner.beat()
    assert (needed, runner.is_needed) == ([False], True)


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
def test_a_job_that_would_end_its_thread_fails_as_any_other(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def end(name: str) -> None:
        raise error

    with running():
        with monkeypatch.context() as ending:
            ending.setattr(samples, "note", end)
            samples.do.enqueue(1)
            until(lambda: error.__name__ in caplog.text, seconds=5)
        samples.do.enqueue(2)
        until(lambda: samples.notes() == ["2"])
    assert statuses() == ["READY", "SUCCESSFUL"]


def test_that_it_stands_in_for_workers_is_said_once_and_when_it_is_over(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = "redis://"
    runner = Runner(WEB)
    runner.beat()
    # A worker that was started with it may come in a moment.
    assert caplog.messages == []
    runner.began -= limits.WORKER_SILENCE_SECONDS + 1
    for _ in range(3):
        runner.beat()
    assert [message for message in caplog.messages if message.startswith(runners.no_worker.what)] == caplog.messages
    assert len(caplog.messages) == 1
    assert all_troubles() == [runners.no_worker.what]
    worker_beat(0)
    runner.beat()
    assert caplog.messages[1:] == [f"No longer so: {runners.no_worker.what}"]
    assert all_troubles() == []


def test_a_database_that_is_away_ends_no_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(limits, "SOON_SECONDS", 0.01)
    with running() as runner:
        until(lambda: runner.is_needed)
        with monkeypatch.context() as away:

            def fail(*arguments: object) -> None:
                raise OperationalError("gone")

            away.setattr("apps.jobs.claims.claim", fail)
            samples.do.enqueue(1)
            until(lambda: "Jobs wait for the database: gone" in caplog.text)
        until(lambda: samples.notes() == ["1"])

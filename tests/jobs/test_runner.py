"""The threads that run jobs."""

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
    """Wait until it holds."""
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
    """Return the folder of the files by which waiting jobs report that they have started, and are released."""
    monkeypatch.setenv("SAMPLES", str(tmp_path))
    return tmp_path


@pytest.fixture
def _never_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOB_POLL_SECONDS", 3600)


@pytest.mark.usefixtures("_never_polls")
def test_a_job_enqueued_in_the_same_process_starts_without_polling() -> None:
    with running() as runner:
        until(lambda: runner.is_needed)
        samples.do.enqueue(0)
        # By now it has looked for the one time.
        until(lambda: samples.notes() == ["0"])
        with transaction.atomic():
            samples.send.enqueue(1)
            samples.do.enqueue(2)
            assert samples.notes() == ["0"]
        until(lambda: samples.notes() == ["0", "1", "2"])


def test_a_job_enqueued_by_another_process_is_found_by_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as runner:
        until(lambda: runner.is_needed)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr("apps.jobs.bells.ring", lambda queue: None)
            samples.do.enqueue(1)
        until(lambda: samples.notes() == ["1"])


def test_network_jobs_run_in_parallel_and_do_not_delay_the_default_queue(folder: Path) -> None:
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


def test_a_runner_that_stops_finishes_running_jobs_and_starts_no_more(folder: Path) -> None:
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


def test_a_runner_stops_even_if_a_wake_up_is_missed(
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


def test_a_runner_that_does_not_stop_in_time_says_so_and_keeps_its_job(folder: Path) -> None:
    runner = Runner(WORKER)
    runner.start()
    samples.wait_for_file.enqueue(0)
    until(lambda: (folder / "begun-0").exists())
    assert not runner.join(0.2)
    assert (statuses(), Worker.objects.count()) == (["RUNNING"], 1)
    (folder / "go-0").touch()
    assert runner.join(20)


@pytest.mark.usefixtures("regular")
def test_a_periodic_job_runs_once_per_period_with_several_runners(
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
def test_a_web_process_runs_jobs_if_no_worker_does(
    settings: Settings, redis: str, kind: Worker.Kind, beat: float | None, is_needed: bool
) -> None:
    settings.REDIS_URL = redis
    if beat is not None:
        worker_beat(beat)
    runner = Runner(kind)
    runner.beat()
    assert runner.is_needed is is_needed
    assert Worker.objects.filter(pk=runner.id).exists() is is_needed


def test_a_stand_in_sends_heartbeats_until_its_last_job_is_done(settings: Settings) -> None:
    settings.REDIS_URL = "redis://"
    runner = Runner(WEB)
    runner.beat()
    worker_beat(0)
    runner.own.add(runner.id)  # any id
    Worker.objects.filter(pk=runner.id).update(seen_at=Now() - timedelta(seconds=limits.JOB_LEASE_SECONDS - 1))
    runner.beat()
    assert (runner.is_needed, runner.id in claims.living_workers()) == (False, True)
    assert Worker.objects.get(pk=runner.id).seen_at > timezone.now() - timedelta(seconds=10)


def test_a_worker_is_known_to_others_before_it_claims_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(WORKER)
    needed = []
    monkeypatch.setattr(
        type(Worker.objects), "update_or_create", lambda *args, **kwargs: needed.append(runner.is_needed)
    )
    runner.beat()
    assert (needed, runner.is_needed) == ([False], True)


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
def test_a_job_that_would_end_its_thread_fails_like_any_other(
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


def test_standing_in_for_workers_is_logged_once_and_when_it_ends(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = "redis://"
    runner = Runner(WEB)
    runner.beat()
    # A worker that was started with it may need a moment.
    assert caplog.messages == []
    runner.began -= limits.WORKER_SILENCE_SECONDS + 1
    for _ in range(3):
        runner.beat()
    assert [message for message in caplog.messages if message.startswith(runners.no_worker.what)] == caplog.messages
    assert len(caplog.messages) == 1
    assert all_troubles() == []
    worker_beat(0)
    runner.beat()
    assert caplog.messages[1:] == [f"No longer so: {runners.no_worker.what}"]
    assert all_troubles() == []


def test_threads_survive_a_database_outage(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
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

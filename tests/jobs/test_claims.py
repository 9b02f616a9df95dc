"""The life of a job: run once, retried, given up, taken over from a dead worker."""

import logging
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.core import limits
from apps.jobs import claims
from apps.jobs.job import NETWORK, job
from apps.jobs.models import StoredJob, Worker
from tests.jobs import samples
from tests.jobs.conftest import Hand, statuses

pytestmark = pytest.mark.django_db


class Clock:
    def __init__(self) -> None:
        self.time = timezone.now()

    def now(self) -> datetime:
        return self.time

    def advance(self, **time: float) -> None:
        self.time += timedelta(**time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", clock.now)
    return clock


def fall_silent(hand: Hand, seconds: float) -> None:
    """Make the worker's last heartbeat this old."""
    Worker.objects.filter(pk=hand.id).update(seen_at=Now() - timedelta(seconds=seconds))


def test_a_job_runs_once(hand: Hand) -> None:
    samples.do.enqueue(7)
    assert (hand.do_all(), hand.do_all()) == (1, 0)
    assert (samples.notes(), statuses()) == (["7"], ["SUCCESSFUL"])


def test_a_transaction_that_is_rolled_back_leaves_no_job() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        samples.do.enqueue(7)
        raise ZeroDivisionError
    assert not StoredJob.objects.exists()


def test_enqueuing_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        samples.do.enqueue(7)


def test_polling_an_empty_queue_takes_one_query_and_no_lock(hand: Hand) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert hand.claim() is None
    [query] = queries.captured_queries
    assert query["sql"].startswith("SELECT")


def test_a_worker_takes_only_jobs_of_the_queue_it_asks_for(hand: Hand) -> None:
    samples.do.enqueue(1)
    samples.send.enqueue(2)
    assert (hand.do_all(NETWORK), samples.notes()) == (1, ["2"])


def test_the_oldest_job_runs_first_and_jobs_that_are_not_due_wait(hand: Hand, clock: Clock) -> None:
    samples.do.using(run_after=clock.now() + timedelta(minutes=1)).enqueue(1)
    samples.do.enqueue(2)
    clock.advance(seconds=1)
    samples.do.enqueue(3)
    first = hand.claim()
    assert first
    assert first.args_kwargs["args"] == [2]
    assert (hand.do_all(), samples.notes()) == (1, ["3"])
    clock.advance(minutes=1)
    assert (hand.do_all(), samples.notes()) == (1, ["1", "3"])


def test_a_job_that_fails_is_retried_with_backoff_and_then_given_up(
    hand: Hand, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    samples.fail_after_noting.enqueue(7)
    job = StoredJob.objects.get()
    for number, pause in enumerate((5, 10), 1):
        assert hand.do_all(NETWORK) == 1
        assert statuses() == ["READY"]
        clock.advance(seconds=pause - 0.1)
        assert hand.do_all(NETWORK) == 0
        clock.advance(seconds=0.2)
        name = f"tests.jobs.samples.fail_after_noting {job.pk}"
        assert caplog.messages[-1] == f"Job {name} failed, try {number} of 3, again in {pause} s: OSError: away"
    assert hand.do_all(NETWORK) == 1
    assert caplog.messages[-1] == f"Job {name} failed for the last time, try 3"
    assert (statuses(), samples.notes()) == (["FAILED"], ["7"] * 3)
    clock.advance(days=1)
    assert hand.do_all(NETWORK) == 0


def test_pauses_between_tries_have_jitter_and_a_maximum() -> None:
    first = {claims.retry_seconds(1) for _ in range(50)}
    assert len(first) > 40
    assert all(4 <= pause <= 6 for pause in first)
    assert claims.retry_seconds(40) <= 1.2 * limits.MAX_JOB_RETRY_SECONDS


def test_what_a_job_changed_before_it_failed_is_rolled_back(hand: Hand) -> None:
    samples.fail_in_transaction.enqueue(7)
    assert hand.do_all() == 1
    assert (samples.notes(), statuses()) == ([], ["READY"])


def test_a_failed_job_keeps_the_type_and_location_of_its_error_but_not_the_message(hand: Hand, clock: Clock) -> None:
    samples.fail_in_transaction.enqueue(7)
    for _ in range(3):
        hand.do_all()
        clock.advance(hours=1)
    row = StoredJob.objects.get()
    assert row.exception_class_path == "builtins.ValueError"
    assert "fail_in_transaction" in row.traceback
    assert "somebody" not in row.traceback


def test_a_job_unknown_to_this_version_is_left_to_others(hand: Hand) -> None:
    samples.do.enqueue(1)
    StoredJob.objects.update(task_path="apps.jobs.of_tomorrow.do")
    samples.do.enqueue(2)
    assert (hand.do_all(), samples.notes()) == (1, ["2"])
    assert statuses() == ["READY", "SUCCESSFUL"]


def test_a_job_of_a_dead_worker_is_run_by_another(hand: Hand, caplog: pytest.LogCaptureFixture) -> None:
    samples.do.enqueue(7)
    assert hand.claim()
    other = Hand()
    fall_silent(hand, limits.JOB_LEASE_SECONDS - 1)
    claims.reclaim(other.id, other.own)
    assert other.do_all() == 0
    fall_silent(hand, limits.JOB_LEASE_SECONDS + 1)
    claims.reclaim(other.id, other.own)
    assert (other.do_all(), samples.notes()) == (1, ["7"])
    assert "was left unfinished by a process that is gone" in caplog.text


def test_a_worker_reclaims_a_job_that_it_lost_track_of(hand: Hand) -> None:
    samples.do.enqueue(7)
    assert hand.claim()
    claims.reclaim(hand.id, hand.own)
    assert hand.do_all() == 0
    hand.own.clear()  # as if the database had failed before the outcome was recorded
    claims.reclaim(hand.id, hand.own)
    assert (hand.do_all(), samples.notes()) == (1, ["7"])


def test_a_job_claimed_during_a_reclaim_is_not_taken_for_lost(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.do.enqueue(7)
    living = claims.living_workers

    def claim_and_list() -> list[UUID]:
        assert hand.claim()
        return living()

    monkeypatch.setattr(claims, "living_workers", claim_and_list)
    claims.reclaim(hand.id, hand.own)
    assert statuses() == ["RUNNING"]


def test_jobs_claimed_by_new_workers_during_a_reclaim_stay_theirs(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    living = claims.living_workers

    def claim_then_list() -> list[UUID]:
        found = living()
        for worker in (Hand(), hand):
            samples.do.enqueue(7)
            assert worker.claim()
        return found

    monkeypatch.setattr(claims, "living_workers", claim_then_list)
    claims.reclaim(hand.id, set(hand.own))
    assert statuses() == ["RUNNING", "RUNNING"]


def given_away(hand: Hand) -> tuple[claims.Row, Hand]:
    """A job of a worker that fell silent, and another worker that may claim it."""
    samples.do.enqueue(7)
    row = hand.claim()
    assert row
    fall_silent(hand, limits.JOB_LEASE_SECONDS + 1)
    other = Hand()
    claims.reclaim(other.id, other.own)
    return row, other


def test_a_worker_that_resumes_after_its_job_was_given_away_rolls_back(
    hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    row, other = given_away(hand)
    assert other.do_all() == 1
    claims.perform(row)
    assert (samples.notes(), statuses()) == (["7"], ["SUCCESSFUL"])
    assert "another process was given it" in caplog.text


def test_a_worker_that_resumes_neither_finishes_nor_releases_anothers_job(hand: Hand) -> None:
    row, other = given_away(hand)
    theirs = other.claim()
    assert theirs
    claims.perform(row)
    claims.retry_or_fail(row, OSError())
    assert (samples.notes(), statuses()) == ([], ["RUNNING"])
    claims.perform(theirs)
    assert (samples.notes(), statuses()) == (["7"], ["SUCCESSFUL"])


def test_a_worker_that_resumes_does_not_overwrite_anothers_success_with_its_failure(hand: Hand) -> None:
    row, other = given_away(hand)
    other.do_all()
    claims.retry_or_fail(row, OSError())
    assert statuses() == ["SUCCESSFUL"]


def test_a_job_that_kills_its_process_each_time_is_given_up(
    hand: Hand, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    samples.kill_the_process.enqueue()
    for _ in range(3):
        assert hand.claim(NETWORK)
        hand.own.clear()
        claims.reclaim(hand.id, hand.own)
        clock.advance(hours=1)
    assert statuses() == ["FAILED"]
    assert StoredJob.objects.get().exception_class_path == "apps.jobs.claims.WorkerLost"
    assert [record.levelno for record in caplog.records][-1] == logging.ERROR


@pytest.mark.parametrize("value", [1, -5, 0, None, True, "0b2ef7a4-6a3e-4d0e-9a53-1f3a8a1f3a8a", "weekly", "of_room"])
def test_ids_and_keywords_are_allowed_as_arguments(value: object) -> None:
    samples.do.enqueue(value)  # type: ignore[arg-type]
    assert StoredJob.objects.get().args_kwargs["args"] == [value]


@pytest.mark.parametrize(
    "value", ["Hello there", "ABCD-1234", "123456", "ada@example.org", "", "x" * 25, 1.5, [1], {"a": 1}, b"x", 2**70]
)
def test_texts_and_secrets_are_refused_as_arguments(value: object) -> None:
    for arguments, named in (((value,), {}), ((), {"number": value})):
        with pytest.raises(TypeError) as refused:
            samples.do.enqueue(*arguments, **named)  # type: ignore[arg-type]
        assert not value or str(value) not in str(refused.value)
    assert not StoredJob.objects.exists()


def test_a_nested_function_cannot_be_a_job() -> None:
    from django_tasks.exceptions import InvalidTaskError

    def inner() -> None: ...

    with pytest.raises(InvalidTaskError):
        job()(inner)

"""What becomes of a job: done once, tried again, given up, taken over from a process that is gone."""

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

    def go_on(self, **time: float) -> None:
        self.time += timedelta(**time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", clock.now)
    return clock


def fall_silent(hand: Hand, seconds: float) -> None:
    """As if the worker had not been heard of for so long."""
    Worker.objects.filter(pk=hand.id).update(seen_at=Now() - timedelta(seconds=seconds))


def test_a_job_is_done_once(hand: Hand) -> None:
    samples.do.enqueue(7)
    assert (hand.do_all(), hand.do_all()) == (1, 0)
    assert (samples.notes(), statuses()) == (["7"], ["SUCCESSFUL"])


def test_a_transaction_that_is_undone_leaves_no_job() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        samples.do.enqueue(7)
        raise ZeroDivisionError
    assert not StoredJob.objects.exists()


def test_to_enqueue_costs_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        samples.do.enqueue(7)


def test_looking_into_an_empty_queue_is_one_query_and_takes_no_lock(hand: Hand) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert hand.claim() is None
    [query] = queries.captured_queries
    assert query["sql"].startswith("SELECT")


def test_each_queue_has_its_own(hand: Hand) -> None:
    samples.do.enqueue(1)
    samples.send.enqueue(2)
    assert (hand.do_all(NETWORK), samples.notes()) == (1, ["2"])


def test_the_oldest_is_done_first_and_those_that_are_not_due_wait(hand: Hand, clock: Clock) -> None:
    samples.do.using(run_after=clock.now() + timedelta(minutes=1)).enqueue(1)
    samples.do.enqueue(2)
    clock.go_on(seconds=1)
    samples.do.enqueue(3)
    first = hand.claim()
    assert first
    assert first.args_kwargs["args"] == [2]
    assert (hand.do_all(), samples.notes()) == (1, ["3"])
    clock.go_on(minutes=1)
    assert (hand.do_all(), samples.notes()) == (1, ["1", "3"])


def test_a_job_that_fails_is_tried_again_later_each_time_and_then_given_up(
    hand: Hand, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    samples.fail_after_noting.enqueue(7)
    job = StoredJob.objects.get()
    for number, pause in enumerate((5, 10), 1):
        assert hand.do_all(NETWORK) == 1
        assert statuses() == ["READY"]
        clock.go_on(seconds=pause - 0.1)
        assert hand.do_all(NETWORK) == 0
        clock.go_on(seconds=0.2)
        name = f"tests.jobs.samples.fail_after_noting {job.pk}"
        assert caplog.messages[-1] == f"Job {name} failed, try {number} of 3, again in {pause} s: OSError: away"
    assert hand.do_all(NETWORK) == 1
    assert caplog.messages[-1] == f"Job {name} failed for the last time, try 3"
    assert (statuses(), samples.notes()) == (["FAILED"], ["7"] * 3)
    clock.go_on(days=1)
    assert hand.do_all(NETWORK) == 0


def test_no_two_wait_just_as_long_and_none_for_more_than_some_time() -> None:
    first = {claims.retry_seconds(1) for _ in range(50)}
    assert len(first) > 40
    assert all(4 <= pause <= 6 for pause in first)
    assert claims.retry_seconds(40) <= 1.2 * limits.MAX_JOB_RETRY_SECONDS


def test_what_a_job_did_to_the_database_before_it_failed_is_undone(hand: Hand) -> None:
    samples.fail_in_transaction.enqueue(7)
    assert hand.do_all() == 1
    assert (samples.notes(), statuses()) == ([], ["READY"])


def test_of_an_error_the_row_keeps_its_kind_and_where_it_was_and_nothing_that_it_says(hand: Hand, clock: Clock) -> None:
    samples.fail_in_transaction.enqueue(7)
    for _ in range(3):
        hand.do_all()
        clock.go_on(hours=1)
    row = StoredJob.objects.get()
    assert row.exception_class_path == "builtins.ValueError"
    assert "fail_in_transaction" in row.traceback
    assert "somebody" not in row.traceback


def test_one_that_this_version_does_not_know_is_left_to_others(hand: Hand) -> None:
    samples.do.enqueue(1)
    StoredJob.objects.update(task_path="apps.jobs.of_tomorrow.do")
    samples.do.enqueue(2)
    assert (hand.do_all(), samples.notes()) == (1, ["2"])
    assert statuses() == ["READY", "SUCCESSFUL"]


def test_what_a_process_that_is_gone_had_begun_is_done_by_another(hand: Hand, caplog: pytest.LogCaptureFixture) -> None:
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


def test_what_a_process_lost_without_ending_is_done_by_itself(hand: Hand) -> None:
    samples.do.enqueue(7)
    assert hand.claim()
    claims.reclaim(hand.id, hand.own)
    assert hand.do_all() == 0
    hand.own.clear()  # as where the database went before it could note what came of it
    claims.reclaim(hand.id, hand.own)
    assert (hand.do_all(), samples.notes()) == (1, ["7"])


def test_what_is_begun_while_a_worker_looks_for_what_was_lost_is_not_taken_from_who_has_it(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = claims.living_workers

    def begin_meanwhile() -> list[UUID]:
        found = living()
        for worker in (Hand(), hand):
            samples.do.enqueue(7)
            assert worker.claim()
        return found

    monkeypatch.setattr(claims, "living_workers", begin_meanwhile)
    claims.reclaim(hand.id, set(hand.own))
    assert statuses() == ["RUNNING", "RUNNING"]


def test_who_was_stopped_so_long_that_another_was_given_the_job_undoes_what_it_did(
    hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    samples.do.enqueue(7)
    row = hand.claim()
    assert row
    fall_silent(hand, limits.JOB_LEASE_SECONDS + 1)
    other = Hand()
    claims.reclaim(other.id, other.own)
    assert other.do_all() == 1
    claims.perform(row)
    assert (samples.notes(), statuses()) == (["7"], ["SUCCESSFUL"])
    assert "another process was given it" in caplog.text


def test_who_was_stopped_does_not_note_a_failure_over_what_another_did(hand: Hand) -> None:
    samples.do.enqueue(7)
    row = hand.claim()
    assert row
    fall_silent(hand, limits.JOB_LEASE_SECONDS + 1)
    other = Hand()
    claims.reclaim(other.id, other.own)
    other.do_all()
    claims.fail(row, OSError())
    assert statuses() == ["SUCCESSFUL"]


def test_one_that_ends_its_process_each_time_is_given_up(
    hand: Hand, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    samples.kill_the_process.enqueue()
    for _ in range(3):
        assert hand.claim(NETWORK)
        hand.own.clear()
        claims.reclaim(hand.id, hand.own)
        clock.go_on(hours=1)
    assert statuses() == ["FAILED"]
    assert StoredJob.objects.get().exception_class_path == "apps.jobs.claims.WorkerLost"
    assert [record.levelno for record in caplog.records][-1] == logging.ERROR


@pytest.mark.parametrize("value", [1, -5, 0, None, True, "0b2ef7a4-6a3e-4d0e-9a53-1f3a8a1f3a8a", "weekly", "of_room"])
def test_ids_and_words_of_ours_are_arguments(value: object) -> None:
    samples.do.enqueue(value)  # type: ignore[arg-type]
    assert StoredJob.objects.get().args_kwargs["args"] == [value]


@pytest.mark.parametrize(
    "value", ["Hello there", "ABCD-1234", "123456", "ada@example.org", "", "x" * 25, 1.5, [1], {"a": 1}, b"x", 2**70]
)
def test_texts_and_secrets_are_no_arguments(value: object) -> None:
    for arguments, named in (((value,), {}), ((), {"number": value})):
        with pytest.raises(TypeError) as refused:
            samples.do.enqueue(*arguments, **named)  # type: ignore[arg-type]
        assert not value or str(value) not in str(refused.value)
    assert not StoredJob.objects.exists()


def test_a_function_within_another_cannot_be_a_job() -> None:
    from django_tasks.exceptions import InvalidTaskError

    def inner() -> None: ...

    with pytest.raises(InvalidTaskError):
        job()(inner)

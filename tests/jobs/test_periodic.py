"""Periodic jobs."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.jobs import periodic
from apps.jobs.models import Periodic, StoredJob
from tests.jobs import samples
from tests.jobs.conftest import Hand

pytestmark = pytest.mark.django_db
PATH = samples.regularly.module_path


def due(seconds: float = 0) -> list[str]:
    return [path for path in periodic.enqueue_due(timezone.now() + timedelta(seconds=seconds)) if path == PATH]


def jobs() -> int:
    return StoredJob.objects.filter(task_path=PATH).count()


@pytest.fixture(autouse=True)
def _first_time(regular: None) -> None:
    periodic.enqueue_due(timezone.now())  # records the first period
    StoredJob.objects.all().delete()


def test_a_periodic_job_is_enqueued_once_per_period(hand: Hand) -> None:
    assert (due(), due(), jobs()) == ([PATH], [], 1)
    hand.do_everything()
    assert (due(1.9), due(2.1), due(2.2), jobs()) == ([], [PATH], [], 2)


def test_of_two_concurrent_processes_only_one_enqueues_it() -> None:
    row = Periodic.objects.get(path=PATH)
    after = row.next_at + timedelta(seconds=2)
    turns = [periodic.take_turn(PATH, before=row.next_at, after=after) for _ in range(2)]
    assert (turns, jobs()) == ([True, False], 1)


def test_it_is_not_enqueued_while_the_last_one_waits(hand: Hand) -> None:
    assert (due(), due(10), due(20), jobs()) == ([PATH], [PATH], [PATH], 1)
    hand.do_everything()
    assert (due(30), jobs()) == ([PATH], 2)


def test_after_a_long_downtime_it_is_enqueued_once(hand: Hand) -> None:
    due()
    hand.do_everything()
    assert (due(86400), due(86401), jobs()) == ([PATH], [], 2)


def test_a_clock_far_ahead_for_a_moment_delays_no_job(hand: Hand) -> None:
    assert due(365 * 86400) == [PATH]
    hand.do_everything()
    assert (due(), due(1), due(2.1)) == ([PATH], [], [PATH])


def test_clocks_that_differ_by_hours_enqueue_a_job_once(hand: Hand) -> None:
    assert due(5 * 3600) == [PATH]
    hand.do_everything()
    assert (due(), due(5 * 3600), jobs()) == ([], [], 1)


def test_nothing_is_written_if_no_job_is_due(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    due()
    with django_assert_num_queries(1):
        assert periodic.enqueue_due(timezone.now()) == []

"""Periodic jobs that delete old rows."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.jobs import forget_devices
from apps.core import limits
from apps.jobs import periodic
from apps.jobs.jobs import delete_expired_sessions, prune
from apps.jobs.models import StoredJob, Worker
from tests.conftest import make_user
from tests.jobs import samples
from tests.jobs.conftest import Hand

pytestmark = pytest.mark.django_db


def sessions(count: int) -> None:
    ago = timezone.now() - timedelta(seconds=1)
    Session.objects.bulk_create(Session(session_key=f"{number}", expire_date=ago) for number in range(count))


def test_expired_sessions_are_deleted_in_batches_one_per_job(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SWEPT_SESSIONS", 4)
    sessions(10)
    delete_expired_sessions.enqueue()
    assert hand.do_all() == 3
    assert not Session.objects.exists()


def test_finished_jobs_are_deleted_in_batches_one_per_job(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PRUNED_ROWS", 4)
    for number in range(10):
        samples.do.enqueue(number)
    hand.do_all()
    StoredJob.objects.update(finished_at=timezone.now() - timedelta(days=limits.KEPT_JOBS_DAYS, seconds=1))
    prune.enqueue()
    assert hand.do_all() == 3
    assert not StoredJob.objects.filter(task_path=samples.do.module_path).exists()


def test_waiting_running_and_recently_failed_jobs_are_kept(hand: Hand) -> None:
    long_ago = timezone.now() - timedelta(days=limits.KEPT_JOBS_DAYS, seconds=1)
    for status in ("READY", "RUNNING", "FAILED", "SUCCESSFUL"):
        samples.do.enqueue(1)
        StoredJob.objects.filter(finished_at=None, status="READY").update(status=status, finished_at=long_ago)
    prune.func()
    assert sorted(StoredJob.objects.values_list("status", flat=True)) == ["FAILED", "READY", "RUNNING"]
    StoredJob.objects.update(finished_at=timezone.now() - timedelta(days=limits.KEPT_FAILED_JOBS_DAYS, seconds=1))
    prune.func()
    assert sorted(StoredJob.objects.values_list("status", flat=True)) == ["READY", "RUNNING"]


def test_workers_without_a_heartbeat_for_a_day_are_deleted(hand: Hand) -> None:
    gone = Hand()
    Worker.objects.filter(pk=gone.id).update(seen_at=Now() - timedelta(days=1, seconds=1))
    prune.func()
    assert list(Worker.objects.values_list("pk", flat=True)) == [hand.id]


def test_both_jobs_are_periodic() -> None:
    now = timezone.now()
    periodic.enqueue_due(now)
    assert {delete_expired_sessions.module_path, prune.module_path} <= set(periodic.enqueue_due(now))


def test_devices_whose_sessions_have_ended_are_deleted(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SWEPT_SESSIONS", 2)
    ada, long_ago = make_user("ada"), timezone.now() - timedelta(days=1, seconds=1)
    Session.objects.create(session_key="lives", expire_date=timezone.now() + timedelta(days=1))
    for key in ("lives", "young", "ended1", "ended2", "ended3"):
        UserSession.objects.create(user=ada, session_key=key, ip="127.0.0.1", user_agent="x")
    UserSession.objects.exclude(session_key="young").update(last_seen_at=long_ago)
    forget_devices.enqueue()
    assert hand.do_all() == 2
    assert set(UserSession.objects.values_list("session_key", flat=True)) == {"lives", "young"}

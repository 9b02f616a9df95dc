"""Jobs without threads: tests claim and run them."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db.models.functions import Now

from apps.jobs import claims
from apps.jobs.job import DEFAULT, NETWORK, known
from apps.jobs.models import StoredJob, Worker
from tests.jobs import samples


@pytest.fixture(autouse=True)
def _jobs_are_done() -> None:
    """Override the fixture that runs jobs immediately in other tests."""


class Hand:
    """A worker without threads, driven by the test."""

    def __init__(self) -> None:
        self.id = uuid4()
        self.own: set[UUID] = set()
        Worker.objects.create(id=self.id, kind=Worker.Kind.WORKER, machine="elsewhere", number=1, seen_at=Now())

    def claim(self, queue: str = DEFAULT) -> claims.Row | None:
        return claims.claim(queue, self.id, self.own.add)

    def do_all(self, queue: str = DEFAULT) -> int:
        """Run all jobs that are due; return how many."""
        count = 0
        while row := self.claim(queue):
            claims.perform(row)
            count += 1
        return count

    def do_everything(self) -> int:
        return self.do_all(DEFAULT) + self.do_all(NETWORK)


@pytest.fixture
def hand(db: None) -> Hand:
    return Hand()


@pytest.fixture
def regular(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one job periodic, every two seconds, and no other."""
    job = replace(samples.regularly, every=timedelta(seconds=2))
    for path in [path for path, one in known.items() if one.every]:
        monkeypatch.delitem(known, path)
    monkeypatch.setitem(known, job.module_path, job)


def statuses() -> list[str]:
    return list(StoredJob.objects.order_by("enqueued_at").values_list("status", flat=True))

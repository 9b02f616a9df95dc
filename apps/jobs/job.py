"""
Declares jobs: functions that run later, once the transaction that enqueued them has committed.

    @job()
    def count_again(room_id: int) -> None: ...

    count_again.enqueue(room.pk)

A job's row is stored by the transaction that enqueues it, so the change and the job exist together or not at all. A job
that fails is retried with exponential backoff. There are two queues, each with its own threads:

- "default" is for jobs that change the database. A job and the record of its success are one transaction, so its
  effects happen exactly once, even if processes die while it runs. It holds SQLite's single write lock: split long work
  into several jobs, or make it idempotent and use `in_transaction=False`.
- "network" is for jobs that wait for other servers, without an open transaction. They run at least once: a process may
  die after sending but before recording it. What they send therefore needs a fixed id by which the receiver recognises
  a duplicate.

Arguments are stored unencrypted and shown in the admin: pass ids only, never text or secrets.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import ParamSpec, cast

from django.db import transaction

# The only imports of the API itself, which Django 6 has as django.tasks.
from django_tasks.base import Task, TaskResult

from apps.core import limits
from apps.jobs import bells

P = ParamSpec("P")

DEFAULT, NETWORK = "default", "network"
# A UUID or a short keyword; never matches a code, a token or a sentence.
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z_]{1,24}")
MAX_ID = 2**63 - 1

# The jobs that this process has imported, by path.
known: "dict[str, Job[...]]" = {}


@dataclass(frozen=True, kw_only=True)
class Job(Task[P, None]):
    """A function that can be enqueued: tried `tries` times and, if `every` is set, enqueued periodically."""

    tries: int = limits.JOB_TRIES
    in_transaction: bool = True
    every: timedelta | None = None

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[None]:
        """Run it soon after the current transaction commits, or at the time given by `using(run_after=...)`."""
        for value in (*args, *kwargs.values()):
            refuse_text(value)
        result = super().enqueue(*args, **kwargs)
        if self.run_after is None:
            transaction.on_commit(partial(bells.ring, self.queue_name), robust=True)
        return result


def job(
    *,
    queue: str = DEFAULT,
    tries: int = limits.JOB_TRIES,
    every: timedelta | None = None,
    in_transaction: bool | None = None,
) -> Callable[[Callable[P, None]], Job[P]]:
    """Turn a module-level function into a job."""

    def decorate(function: Callable[P, None]) -> Job[P]:
        whole = queue == DEFAULT if in_transaction is None else in_transaction
        made = Job(func=function, queue_name=queue, tries=tries, every=every, in_transaction=whole)
        known[made.module_path] = cast("Job[...]", made)
        return made

    return decorate


def refuse_text(value: object) -> None:
    """Raise TypeError for an argument that is neither an id nor a keyword; the error does not repeat it."""
    is_number = value is None or (isinstance(value, int) and abs(value) <= MAX_ID)
    if not is_number and not (isinstance(value, str) and ID.fullmatch(value)):
        raise TypeError("A job is given ids and short words in small letters only: its arguments are shown to owners.")

"""
What a job is: a function that is called later, once what asked for it is committed.

    @job()
    def count_again(room_id: int) -> None: ...

    count_again.enqueue(room.pk)

The row of a job is stored by the transaction that asks for it, so neither is there without the other. A job that fails
is tried again, later each time. Two queues have threads of their own:

- "default" is for what changes the database. The job and the note that it is done are one transaction, so what it does
  happens once, however often a process dies meanwhile. SQLite's one write lock is held while it runs: much work is cut
  into several jobs, or asks for `in_transaction=False` and does no harm when it is done twice.
- "network" is for whatever waits for others: no transaction is open, and it may happen twice that it is done and not
  noted. So what is sent has a name of its own that stays the same, by which the receiver knows it again.

Arguments are stored in the open, and the admin shows them: ids only, never a text or a secret.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import ParamSpec, cast

from django.db import transaction

# The one place that knows whose API it is: from Django 6 on it is django.tasks.
from django_tasks.base import Task, TaskResult

from apps.core import limits
from apps.jobs import bells

P = ParamSpec("P")

DEFAULT, NETWORK = "default", "network"
# An id, or one of a few words; a code, a token or a sentence is none of these.
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z_]{1,24}")
MAX_ID = 2**63 - 1

# Those that this process knows, by their paths.
known: "dict[str, Job[...]]" = {}


@dataclass(frozen=True, kw_only=True)
class Job(Task[P, None]):
    """A function that may be enqueued. Tried `tries` times; enqueued by itself `every` so often, if that is set."""

    tries: int = limits.JOB_TRIES
    in_transaction: bool = True
    every: timedelta | None = None

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[None]:
        """Have it done after the transaction that this is called in, soon, or at `using(run_after=...)`."""
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
    """Make a job of a function of a module."""

    def decorate(function: Callable[P, None]) -> Job[P]:
        whole = queue == DEFAULT if in_transaction is None else in_transaction
        made = Job(func=function, queue_name=queue, tries=tries, every=every, in_transaction=whole)
        known[made.module_path] = cast("Job[...]", made)
        return made

    return decorate


def refuse_text(value: object) -> None:
    """Raise TypeError for an argument that is neither an id nor one of a few words. Does not repeat it."""
    is_number = value is None or (isinstance(value, int) and abs(value) <= MAX_ID)
    if not is_number and not (isinstance(value, str) and ID.fullmatch(value)):
        raise TypeError("A job is given ids and short words in small letters only: its arguments are shown to owners.")

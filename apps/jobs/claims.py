"""
Claims: how a worker takes a job, runs it, retries it, and takes over from workers that have died.

A RUNNING row belongs to the last of its `worker_ids` while that worker sends heartbeats. Every update requires the list
to be unchanged, so a worker can't finish or release a job that has since been given to another. The length of the list
is the number of tries: a job that kills its process is given up like one that raises.
"""

import logging
import random
import socket
from asyncio import CancelledError
from collections.abc import Callable
from datetime import timedelta
from traceback import StackSummary, extract_tb
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_tasks.base import TaskResultStatus
from django_tasks_db.models import DBTaskResult, DBTaskResultQuerySet, get_date_max

from apps.core import limits, presence
from apps.jobs.job import Job, known
from apps.jobs.models import StoredJob, Worker

logger = logging.getLogger(__name__)

# The workers' own group of presence files: web processes would sweep them before other workers saw that one has died.
PRESENCE = "jobs"
Row = DBTaskResult[Any, Any]

READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
FAILED, SUCCESSFUL = TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL


class Lost(Exception):  # noqa: N818  # an outcome
    """The job has since been given to another worker."""


def waiting() -> DBTaskResultQuerySet:
    """Return the jobs that are due, without those unknown to this process, which a newer version may have enqueued."""
    return StoredJob.objects.ready().filter(task_path__in=known)


def claim(queue: str, worker: UUID, note: Callable[[UUID], None]) -> Row | None:
    """Claim the queue's next job for this worker. `note` is called with its key before others can see the claim."""
    due = waiting().filter(queue_name=queue)
    # Check outside a transaction first: on SQLite, one takes the write lock.
    if not due.exists():
        return None
    with transaction.atomic():
        row = due.get_locked()
        if row is None:
            return None
        note(row.pk)
        row.claim(str(worker))
    return row


def held(row: Row) -> DBTaskResultQuerySet:
    """Return the row as a query, empty if it has since been given to another worker."""
    return StoredJob.objects.filter(pk=row.pk, status=RUNNING, worker_ids=row.worker_ids)


def perform(row: Row) -> None:
    """Run a claimed job and record the outcome."""
    job = known[row.task_path]
    try:
        if job.in_transaction:
            with transaction.atomic():
                call(job, row)
                finish(row)
        else:
            call(job, row)
            finish(row)
    except Lost:
        logger.warning("Job %s took so long that another process was given it.", name_of(row))
    # Including sys.exit() and cancellation, which would end the thread; Ctrl+C is for the main thread.
    except (Exception, SystemExit, CancelledError) as error:
        retry_or_fail(row, error)


def call(job: "Job[...]", row: Row) -> None:
    """Call the job's function with its stored arguments."""
    job.call(*row.args_kwargs["args"], **row.args_kwargs["kwargs"])


def finish(row: Row) -> None:
    """Record success. Raises Lost if the job is another worker's by now, which rolls back the transaction it ran in."""
    done = {"status": SUCCESSFUL, "finished_at": timezone.now(), "exception_class_path": "", "traceback": ""}
    if not held(row).update(**done):
        raise Lost


def retry_or_fail(row: Row, error: BaseException) -> None:
    """Schedule a retry or, after the last try, record the failure."""
    tries = known[row.task_path].tries
    if len(row.worker_ids) < tries:
        pause = retry_seconds(len(row.worker_ids))
        put_back(row, seconds=pause)
        values = (name_of(row), len(row.worker_ids), tries, pause, brief(error))
        logger.warning("Job %s failed, try %d of %d, again in %.0f s: %s", *values)
        return
    end(row, reason=f"{type(error).__module__}.{type(error).__qualname__}", places=extract_tb(error.__traceback__))
    logger.error("Job %s failed for the last time, try %d", name_of(row), tries, exc_info=error)


def retry_seconds(tries: int) -> float:
    """Return the pause after this many tries: exponential backoff with jitter."""
    seconds: float = min(limits.JOB_RETRY_SECONDS * 2 ** (tries - 1), limits.MAX_JOB_RETRY_SECONDS)
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311  # no secret


def put_back(row: Row, *, seconds: float = 0.0) -> bool:
    """Release the claim, so that any worker may take the job after this many seconds; return whether it was held."""
    after = timezone.now() + timedelta(seconds=seconds) if seconds else get_date_max()
    return bool(held(row).update(status=READY, run_after=after))


def end(row: Row, *, reason: str, places: StackSummary | None = None) -> bool:
    """Record the final failure with its location, but not the error's message, which may contain a user's text."""
    where = "".join(f"{place.filename}:{place.lineno} {place.name}\n" for place in places or [])
    failed = {"status": FAILED, "finished_at": timezone.now(), "exception_class_path": reason, "traceback": where}
    return bool(held(row).update(**failed))


def reclaim(worker: UUID, own: set[UUID]) -> None:
    """
    Release or give up jobs whose worker has died or lost track of them.

    `own` are the jobs this worker is running: the live set, not a copy, so a row that is read as RUNNING is in it.
    """
    # Read before the workers: whoever has claimed one of these was a known worker by then.
    rows = list(StoredJob.objects.running().filter(task_path__in=known))
    living = {str(pk) for pk in living_workers()}
    for row in rows:
        last = row.worker_ids[-1] if row.worker_ids else ""
        if last in living and (last != str(worker) or row.pk in own):
            continue
        tries = len(row.worker_ids)
        if tries >= known[row.task_path].tries:
            if end(row, reason=f"{__name__}.WorkerLost"):
                logger.error("Job %s was left unfinished %d times, and is given up", name_of(row), tries)
        # The first time immediately, then with backoff: a job that kills its process would kill all workers in turn.
        elif put_back(row, seconds=retry_seconds(tries - 1) if tries > 1 else 0.0):
            logger.warning("Job %s was left unfinished by a process that is gone, and is done again", name_of(row))


def living_workers() -> list[UUID]:
    """Return the workers with a recent heartbeat, without those known to have died on this machine."""
    lease = timedelta(seconds=limits.JOB_LEASE_SECONDS)
    seen = list(Worker.objects.filter(seen_at__gt=Now() - lease))
    here = socket.gethostname()[:255]
    gone = [one.pk for one in seen if one.machine == here and presence.is_gone(one.pk, PRESENCE)]
    if gone:
        Worker.objects.filter(pk__in=gone).delete()
    return [one.pk for one in seen if one.pk not in gone]


def due_queues() -> list[str]:
    """Return the queues that have jobs due."""
    return list(waiting().order_by().values_list("queue_name", flat=True).distinct())


def is_worker_there() -> bool:
    """Return whether a dedicated worker is alive, so that web processes need not run jobs."""
    since = Now() - timedelta(seconds=limits.WORKER_SILENCE_SECONDS)
    return Worker.objects.filter(kind=Worker.Kind.WORKER, seen_at__gt=since).exists()


def name_of(row: Row) -> str:
    """Return the job's name for the log."""
    return f"{row.task_path} {row.pk}"


def brief(error: BaseException) -> str:
    """Return the error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]

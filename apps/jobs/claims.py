"""
Whose job it is: taking one, giving it back, ending it.

A row that is RUNNING belongs to the last of its `worker_ids`, as long as that worker is heard of. Each change asks
whether the row still has the same ones, so nobody ends or takes what somebody else has been given meanwhile. How often
a job was tried is how many they are: one that kills its process ends like one that fails.
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

# Those of workers, which the processes that serve do not sweep away before others have seen that they are gone.
PRESENCE = "jobs"
Row = DBTaskResult[Any, Any]

READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
FAILED, SUCCESSFUL = TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL


class Lost(Exception):  # noqa: N818  # an outcome
    """The job is somebody else's by now."""


def waiting() -> DBTaskResultQuerySet:
    """The jobs that are due, of those that this process knows: a newer version may have enqueued others."""
    return StoredJob.objects.ready().filter(task_path__in=known)


def claim(queue: str, worker: UUID, note: Callable[[UUID], None]) -> Row | None:
    """The next job of the queue, which is this worker's from now on; `note` is told which before others can see it."""
    due = waiting().filter(queue_name=queue)
    # Asked without a transaction first, which on SQLite takes the write lock.
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
    """The row, unless it has been taken from who claimed it."""
    return StoredJob.objects.filter(pk=row.pk, status=RUNNING, worker_ids=row.worker_ids)


def perform(row: Row) -> None:
    """Do a claimed job, and note what came of it."""
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
    # Also sys.exit() and what is cancelled, which would end the thread; Ctrl+C is for the main thread.
    except (Exception, SystemExit, CancelledError) as error:
        fail(row, error)


def call(job: "Job[...]", row: Row) -> None:
    """The job's function, with the arguments that were stored."""
    job.call(*row.args_kwargs["args"], **row.args_kwargs["kwargs"])


def finish(row: Row) -> None:
    """Note that it is done. Raises Lost, and undoes what stands in the same transaction, where it is another's."""
    done = {"status": SUCCESSFUL, "finished_at": timezone.now(), "exception_class_path": "", "traceback": ""}
    if not held(row).update(**done):
        raise Lost


def fail(row: Row, error: BaseException) -> None:
    """Have it tried again, or end it after the last time."""
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
    """How long to wait after so many: twice as long each time, never just as long as others."""
    seconds: float = min(limits.JOB_RETRY_SECONDS * 2 ** (tries - 1), limits.MAX_JOB_RETRY_SECONDS)
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311  # no secret


def put_back(row: Row, *, seconds: float = 0.0) -> bool:
    """Leave it to whoever comes next, after so many seconds."""
    after = timezone.now() + timedelta(seconds=seconds) if seconds else get_date_max()
    return bool(held(row).update(status=READY, run_after=after))


def end(row: Row, *, reason: str, places: StackSummary | None = None) -> bool:
    """Note that it failed for good. Where it failed is noted, not what the error says: that may be anybody's text."""
    where = "".join(f"{place.filename}:{place.lineno} {place.name}\n" for place in places or [])
    failed = {"status": FAILED, "finished_at": timezone.now(), "exception_class_path": reason, "traceback": where}
    return bool(held(row).update(**failed))


def reclaim(worker: UUID, own: set[UUID]) -> None:
    """Have those done again whose worker is gone, or lost them: what this one does at any time is in `own`."""
    # Before the workers: whoever had one of these was a worker by then, and one that is ended meanwhile is not held.
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
        # The first time at once. One that ends its process would else end all of them, one after another.
        elif put_back(row, seconds=retry_seconds(tries - 1) if tries > 1 else 0.0):
            logger.warning("Job %s was left unfinished by a process that is gone, and is done again", name_of(row))


def living_workers() -> list[UUID]:
    """Those that were heard of, and of this machine those that are there."""
    lease = timedelta(seconds=limits.JOB_LEASE_SECONDS)
    seen = list(Worker.objects.filter(seen_at__gt=Now() - lease))
    here = socket.gethostname()[:255]
    gone = [one.pk for one in seen if one.machine == here and presence.is_gone(one.pk, PRESENCE)]
    if gone:
        Worker.objects.filter(pk__in=gone).delete()
    return [one.pk for one in seen if one.pk not in gone]


def due_queues() -> list[str]:
    """The queues in which something is due."""
    return list(waiting().order_by().values_list("queue_name", flat=True).distinct())


def is_worker_there() -> bool:
    """Whether a worker was heard of that leaves nothing to do for processes that serve."""
    since = Now() - timedelta(seconds=limits.WORKER_SILENCE_SECONDS)
    return Worker.objects.filter(kind=Worker.Kind.WORKER, seen_at__gt=since).exists()


def name_of(row: Row) -> str:
    """What the log calls it."""
    return f"{row.task_path} {row.pk}"


def brief(error: BaseException) -> str:
    """The error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]

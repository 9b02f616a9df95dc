"""
The threads that run jobs: some for each queue, and a supervisor.

Without REDIS_URL they run in the only process, the web process, so that what a job posts appears on open pages
immediately. With it they run in `manage.py run_jobs`, and in web processes only while no such worker is alive.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from math import inf
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.db.models.functions import Now
from django.utils import timezone

from apps.core import limits, presence
from apps.core.database import forget_connections
from apps.core.trouble import Trouble
from apps.jobs import bells, claims, periodic
from apps.jobs.models import Worker

logger = logging.getLogger(__name__)

no_worker = Trouble(
    "No worker (manage.py run_jobs) has been seen for a minute, so a web process runs its jobs",
    logger,
    is_noticed=False,
)
# How often threads that must end are woken.
RINGING_SECONDS = 0.1


class Runner:
    """Runs jobs in one process."""

    def __init__(self, kind: Worker.Kind) -> None:
        self.kind = kind
        self.id = uuid4()
        self.began = time.monotonic()
        self.stopping = threading.Event()
        # Whether this process runs jobs at present.
        self.is_needed = False
        # The jobs being run here, each added before its claim is visible to others.
        self.own: set[UUID] = set()
        self.threads = [threading.Thread(target=self.keep, name="jobs", daemon=True)]
        for queue, number in limits.JOB_THREADS.items():
            for _ in range(number):
                self.threads.append(threading.Thread(target=self.work, args=[queue], name=f"jobs {queue}", daemon=True))

    def start(self) -> None:
        """Start the threads."""
        for thread in self.threads:
            thread.start()

    def stop_soon(self) -> None:
        """Start no more jobs."""
        self.stopping.set()
        bells.ring_all()

    def join(self, seconds: float) -> bool:
        """Wait for running jobs; return whether all finished. Others take over the rest when the lease expires."""
        self.stop_soon()
        end = time.monotonic() + seconds
        return wait_for(self.threads, end)

    def work(self, queue: str) -> None:
        """Run the jobs of one queue, one after another."""
        bell = bells.listen(queue)
        while not self.stopping.is_set():
            bell.clear()
            # Check again: `stop_soon` rings only once, perhaps just before `clear`.
            if self.stopping.is_set():
                break
            if not (self.is_needed and self.safely(self.work_once, queue)):
                connections.close_all()
                bell.wait()
        connections.close_all()

    def work_once(self, queue: str) -> bool:
        """Run one job; return whether there was one."""
        taken: list[UUID] = []

        def note(pk: UUID) -> None:
            taken.append(pk)
            self.own.add(pk)

        try:
            row = claims.claim(queue, self.id, note)
            if row is None:
                return False
            # There may be another job, and another thread waiting for it.
            bells.ring(queue)
            claims.perform(row)
            return True
        finally:
            self.own.difference_update(taken)

    def keep(self) -> None:
        """Supervise: send heartbeats, reclaim jobs of dead workers, and wake the threads for jobs that are due."""
        presence.hold(self.id, claims.PRESENCE)
        beat_at = -inf
        while not self.stopping.is_set():
            is_well = True
            if time.monotonic() - beat_at >= limits.JOB_BEAT_SECONDS and (is_well := self.safely(self.beat)):
                if beat_at < self.began:
                    presence.sweep(claims.PRESENCE)
                beat_at = time.monotonic()
            if is_well and self.is_needed:
                is_well = self.safely(self.look)
            connections.close_all()
            self.stopping.wait(limits.JOB_POLL_SECONDS if is_well else limits.SOON_SECONDS)
        self.leave()

    def beat(self) -> bool:
        """Decide whether jobs run here and, if so, send a heartbeat and reclaim jobs of dead workers."""
        is_stand_in = self.kind == Worker.Kind.WEB and bool(settings.REDIS_URL)
        is_needed = not (is_stand_in and claims.is_worker_there())
        if not is_needed:
            self.is_needed = False
            no_worker.over()
            # Without a heartbeat others would take over its running jobs.
            if not self.own:
                return True
        # A worker may have been started together with this process.
        elif is_stand_in and time.monotonic() - self.began > limits.WORKER_SILENCE_SECONDS:
            no_worker.note("start one, beside the processes that serve")
        row = {"kind": self.kind, "machine": socket.gethostname()[:255], "number": os.getpid(), "seen_at": Now()}
        Worker.objects.update_or_create(pk=self.id, defaults=row)
        # Claim nothing earlier: others take over the jobs of a worker they don't know.
        self.is_needed = is_needed
        # Not a copy: a job claimed during this is not lost.
        claims.reclaim(self.id, self.own)
        return True

    def look(self) -> bool:
        """Enqueue periodic jobs and wake the threads of queues with jobs due."""
        periodic.enqueue_due(timezone.now())
        for queue in claims.due_queues():
            bells.ring(queue)
        return True

    def leave(self) -> None:
        """Sign off once nothing runs here any more, so that other workers needn't wait for the lease to expire."""
        end = time.monotonic() + limits.JOB_SHUTDOWN_SECONDS
        if wait_for(self.threads[1:], end):
            self.safely(lambda: bool(Worker.objects.filter(pk=self.id).delete()))
            connections.close_all()

    def safely(self, do: Callable[..., bool], *arguments: object) -> bool:
        """Return what `do` returns; False if it fails or the database is unavailable, which is logged."""
        try:
            return do(*arguments)
        except (DatabaseError, InterfaceError) as error:
            # /readyz checks the database itself.
            logger.info("Jobs wait for the database: %s", error)
            forget_connections(error)
        except Exception:
            logger.exception("Jobs could not be done")
        connections.close_all()
        return False


def wait_for(threads: list[threading.Thread], end: float) -> bool:
    """Wait until the threads have ended; whether they have by `end`, by time.monotonic()."""
    for thread in threads:
        while thread.is_alive() and time.monotonic() < end:
            # Again and again: another thread of the queue clears the bell before this one waits for it.
            bells.ring_all()
            thread.join(RINGING_SECONDS)
    return not any(thread.is_alive() for thread in threads)

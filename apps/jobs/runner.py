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
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self.threads)

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
        self.is_needed = not (is_stand_in and claims.is_worker_there())
        if is_stand_in and not self.is_needed:
            no_worker.over()
            return True
        # A worker started together with this process may need a moment.
        if is_stand_in and time.monotonic() - self.began > limits.WORKER_SILENCE_SECONDS:
            no_worker.note("start one, beside the processes that serve")
        row = {"kind": self.kind, "machine": socket.gethostname()[:255], "number": os.getpid(), "seen_at": Now()}
        Worker.objects.update_or_create(pk=self.id, defaults=row)
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
        for thread in self.threads[1:]:
            thread.join(max(0.0, end - time.monotonic()))
        if not any(thread.is_alive() for thread in self.threads[1:]):
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

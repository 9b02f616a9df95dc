"""
The threads that do jobs: some for each queue, and one that keeps the house for them.

In a process that serves, where that is the only one (REDIS_URL is not set): what a job posts is then on the pages at
once. Else in `manage.py run_jobs`, and in a process that serves only as long as no such worker is heard of.
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

# How often threads that are to end are woken.
RINGING_SECONDS = 0.1

no_worker = Trouble("No worker (manage.py run_jobs) is heard of, so a process that serves does its jobs", logger)


class Runner:
    """The jobs that one process does."""

    def __init__(self, kind: Worker.Kind) -> None:
        self.kind = kind
        self.id = uuid4()
        self.began = time.monotonic()
        self.stopping = threading.Event()
        # Whether jobs are done here just now.
        self.is_needed = False
        # What is done here just now; in it before anybody else could see that it has begun.
        self.own: set[UUID] = set()
        self.threads = [threading.Thread(target=self.keep, name="jobs", daemon=True)]
        for queue, number in limits.JOB_THREADS.items():
            for _ in range(number):
                self.threads.append(threading.Thread(target=self.work, args=[queue], name=f"jobs {queue}", daemon=True))

    def start(self) -> None:
        """Begin."""
        for thread in self.threads:
            thread.start()

    def stop_soon(self) -> None:
        """Begin nothing more."""
        self.stopping.set()
        bells.ring_all()

    def join(self, seconds: float) -> bool:
        """Wait for what was begun; whether all of it is done. What is not, others do when they miss this process."""
        self.stop_soon()
        end = time.monotonic() + seconds
        return wait_for(self.threads, end)

    def work(self, queue: str) -> None:
        """Do the jobs of one queue, one after another."""
        bell = bells.listen(queue)
        while not self.stopping.is_set():
            bell.clear()
            # Asked again: who stops rings but once.
            if self.stopping.is_set():
                break
            if not (self.is_needed and self.safely(self.work_once, queue)):
                connections.close_all()
                bell.wait()
        connections.close_all()

    def work_once(self, queue: str) -> bool:
        """Do one job; whether there was one."""
        taken: list[UUID] = []

        def note(pk: UUID) -> None:
            taken.append(pk)
            self.own.add(pk)

        try:
            row = claims.claim(queue, self.id, note)
            if row is None:
                return False
            # There may be more than one, and others who wait.
            bells.ring(queue)
            claims.perform(row)
            return True
        finally:
            self.own.difference_update(taken)

    def keep(self) -> None:
        """Say that this process lives, see to what others left, and wake the threads for what is due."""
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
        """Once in a while."""
        is_stand_in = self.kind == Worker.Kind.WEB and bool(settings.REDIS_URL)
        is_needed = not (is_stand_in and claims.is_worker_there())
        if not is_needed:
            self.is_needed = False
            no_worker.over()
            # Others would take over what is not done yet.
            if not self.own:
                return True
        # A worker may have been started together with this process.
        elif is_stand_in and time.monotonic() - self.began > limits.WORKER_SILENCE_SECONDS:
            no_worker.note("start one, beside the processes that serve")
        row = {"kind": self.kind, "machine": socket.gethostname()[:255], "number": os.getpid(), "seen_at": Now()}
        Worker.objects.update_or_create(pk=self.id, defaults=row)
        # Nothing is claimed before: others take over the jobs of a worker that they do not know.
        self.is_needed = is_needed
        # Not a copy: what is begun during this is not lost.
        claims.reclaim(self.id, self.own)
        return True

    def look(self) -> bool:
        """See what is due."""
        periodic.enqueue_due(timezone.now())
        for queue in claims.due_queues():
            bells.ring(queue)
        return True

    def leave(self) -> None:
        """Let others have at once what is left, where nothing is done here any more."""
        end = time.monotonic() + limits.JOB_SHUTDOWN_SECONDS
        if wait_for(self.threads[1:], end):
            self.safely(lambda: bool(Worker.objects.filter(pk=self.id).delete()))
            connections.close_all()

    def safely(self, do: Callable[..., bool], *arguments: object) -> bool:
        """What `do` returns; False where the database is away, or it fails."""
        try:
            return do(*arguments)
        except (DatabaseError, InterfaceError) as error:
            # /readyz finds that out by itself.
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

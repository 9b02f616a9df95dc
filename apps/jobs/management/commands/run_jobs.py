"""The worker: does the site's jobs, beside processes that serve."""

import signal
from queue import SimpleQueue
from typing import Any

from django.core.management.base import BaseCommand

from apps.core import limits, running
from apps.jobs.models import Worker
from apps.jobs.runner import Runner


class Command(BaseCommand):
    help = "Do the site's jobs until told to end; for sites of several processes (REDIS_URL). One or more of it."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        running.serve()
        runner = Runner(Worker.Kind.WORKER)
        # Not an event, whose lock the handler might find taken by what it interrupts.
        ended: SimpleQueue[None] = SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.put(None))
        runner.start()
        ended.get()
        runner.join(limits.JOB_SHUTDOWN_SECONDS)

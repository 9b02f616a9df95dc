"""The worker: runs the site's jobs, beside the web processes."""

import signal
from queue import SimpleQueue
from typing import Any

from django.core.management.base import BaseCommand

from apps.core import limits, running
from apps.jobs.models import Worker
from apps.jobs.runner import Runner


class Command(BaseCommand):
    help = "Run the site's jobs until told to stop; for sites with several processes (REDIS_URL). Start one or more."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        running.serve()
        runner = Runner(Worker.Kind.WORKER)
        # Not a threading.Event: the code that the signal interrupts may hold its lock.
        ended: SimpleQueue[None] = SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.put(None))
        runner.start()
        ended.get()
        runner.join(limits.JOB_SHUTDOWN_SECONDS)

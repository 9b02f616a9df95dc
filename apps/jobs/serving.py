"""Runs jobs in a web process."""

import asyncio

from apps.core import limits, shutdown
from apps.jobs.models import Worker
from apps.jobs.runner import Runner


def start() -> None:
    """Run jobs while the process serves; at shutdown, finish those that are running."""
    runner = Runner(Worker.Kind.WEB)
    runner.start()

    async def stop() -> None:
        runner.stop_soon()
        # As a task: sending pages away must not wait for it.
        stop.task = asyncio.create_task(finish(runner))  # type: ignore[attr-defined]  # keeps a reference

    shutdown.before_shutdown(stop)


async def finish(runner: Runner) -> None:
    """Wait for running jobs, as work that the process finishes before it exits."""
    with shutdown.work():
        await asyncio.to_thread(runner.join, limits.JOB_SHUTDOWN_SECONDS)

"""Jobs in a process that serves."""

import asyncio

from apps.core import limits, shutdown
from apps.jobs.models import Worker
from apps.jobs.runner import Runner


def start() -> None:
    """Do jobs for as long as the process serves, and finish what was begun when it ends."""
    runner = Runner(Worker.Kind.WEB)
    runner.start()

    async def stop() -> None:
        runner.stop_soon()
        # Beside the pages' farewell, which must not wait for it.
        stop.task = asyncio.create_task(finish(runner))  # type: ignore[attr-defined]  # kept so that it does not vanish

    shutdown.before_shutdown(stop)


async def finish(runner: Runner) -> None:
    """As work that the process finishes before it ends."""
    with shutdown.work():
        await asyncio.to_thread(runner.join, limits.JOB_SHUTDOWN_SECONDS)

"""The threads on which sockets use the database."""

import asyncio
import threading

from apps.live.threads import in_thread


def test_slow_queries_do_not_wait_for_each_other() -> None:
    # Each waits for all four: on one thread they would wait forever.
    together = threading.Barrier(4, timeout=5)

    async def ask() -> None:
        await asyncio.gather(*(in_thread(together.wait) for _ in range(4)))

    asyncio.run(ask())

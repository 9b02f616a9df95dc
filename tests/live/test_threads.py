"""Where sockets ask the database."""

import asyncio
import threading

from apps.live.threads import in_thread


def test_slow_questions_do_not_wait_for_each_other() -> None:
    # Each waits for all four: on one thread they would wait for ever.
    together = threading.Barrier(4, timeout=5)

    async def ask() -> None:
        await asyncio.gather(*(in_thread(together.wait) for _ in range(4)))

    asyncio.run(ask())

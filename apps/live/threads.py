"""The threads on which sockets ask the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.db import close_old_connections, connection

from apps.core.database import NO_DATABASE, forget_connections

# Few: with Python's global lock more gain nothing but connections. Channels' own default is one for all sockets,
# so that each waits for the slowest.
THREADS = 8
_executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="sockets")

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """
    What the function returns, run on a thread that may ask the database. It must not await.

    It speaks the caller's language: what Django keeps for a context goes along.
    """
    run = copy_context().run
    return await asyncio.get_running_loop().run_in_executor(_executor, run, _run, function, args)


def _run(function: Callable[..., T], args: tuple[object, ...]) -> T:
    try:
        return function(*args)
    except NO_DATABASE as error:
        forget_connections(error)
        raise
    finally:
        # SQLite's stay open: to open one costs more than most queries, and a file does not go away.
        if connection.vendor != "sqlite" or connection.errors_occurred:
            close_old_connections()

"""Thread pool for database work started from sockets."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.db import close_old_connections, connection

from apps.core.database import NO_DATABASE, forget_connections

# Few: under the GIL more threads only add connections. Channels defaults to one thread for all sockets, so each would
# wait for the slowest.
THREADS = 8
_executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="sockets")

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """
    Run a synchronous function in the thread pool, where it may use the database; return its result.

    The caller's context variables are copied, and with them the active language.
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
        # Keep SQLite's open: opening one costs more than most queries, and a file has no server that could go away.
        if connection.vendor != "sqlite" or connection.errors_occurred:
            close_old_connections()

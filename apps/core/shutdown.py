"""Graceful shutdown: what a process does between SIGTERM and its exit."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import markcoroutinefunction

logger = logging.getLogger(__name__)

# How long unfinished work may take after the pages have been disconnected.
WORK_SECONDS = 10.0
LOOK_PAUSE_SECONDS = 0.05

Farewell = Callable[[], Awaitable[None]]


class State:
    """State of this process."""

    is_shutting_down = False
    # Requests and posts in progress.
    begun = 0
    # A reference, so that it isn't garbage-collected.
    task: asyncio.Task[None] | None = None


_farewells: list[Farewell] = []


def before_shutdown(farewell: Farewell) -> None:
    """Register a coroutine function to await when the process is told to end."""
    _farewells.append(farewell)


@contextmanager
def work() -> Iterator[None]:
    """Count something that the process finishes before it ends."""
    State.begun += 1
    try:
        yield
    finally:
        State.begun -= 1


def counted(application: Any) -> Any:
    """Wrap the ASGI application so that its requests count as work."""

    async def finish(scope: dict[str, Any], receive: Any, send: Any) -> None:
        with work():
            await application(scope, receive, send)

    def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        return (finish if scope["type"] == "http" else application)(scope, receive, send)

    return markcoroutinefunction(wrapped)


async def shut_down() -> None:
    """Run the registered functions, then wait for work in progress."""
    for farewell in _farewells:
        await farewell()
    for _ in range(int(WORK_SECONDS / LOOK_PAUSE_SECONDS)):
        # At least once, so that the last frames are sent.
        await asyncio.sleep(LOOK_PAUSE_SECONDS)
        if not State.begun:
            break


def shut_down_on_sigterm() -> None:
    """Shut down gracefully under Daphne, which would drop everything at once. Call this before it runs."""
    from twisted.internet import reactor

    # Once the reactor runs, since it installs signal handlers of its own at startup.
    reactor.callWhenRunning(_listen_to_sigterm)


def _listen_to_sigterm() -> None:
    from twisted.internet import reactor

    if threading.current_thread() is not threading.main_thread():
        return  # runserver with its reloader, which ends its child itself
    loop = asyncio.get_event_loop()

    async def shut_down_and_stop() -> None:
        try:
            await shut_down()
        except Exception:
            logger.exception("Could not shut down in good order")
        finally:
            reactor.stop()  # type: ignore[misc]

    def begin() -> None:
        if State.is_shutting_down:
            return
        State.is_shutting_down = True
        State.task = loop.create_task(shut_down_and_stop())

    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(begin))

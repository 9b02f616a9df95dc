"""Shutting down in good order: what a process does between SIGTERM and its end."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import markcoroutinefunction

logger = logging.getLogger(__name__)

# How long what was begun may take after the pages have gone.
WORK_SECONDS = 10.0
LOOK_PAUSE_SECONDS = 0.05

Farewell = Callable[[], Awaitable[None]]


class State:
    """Of this process."""

    is_shutting_down = False
    # Requests and posts that have been begun and not finished.
    begun = 0
    # Kept so that it does not vanish.
    task: asyncio.Task[None] | None = None


_farewells: list[Farewell] = []


def before_shutdown(farewell: Farewell) -> None:
    """Have `farewell` awaited when the process is told to end."""
    _farewells.append(farewell)


@contextmanager
def work() -> Iterator[None]:
    """Something that the process finishes before it ends."""
    State.begun += 1
    try:
        yield
    finally:
        State.begun -= 1


def counted(application: Any) -> Any:
    """The ASGI application, with its requests counted as work."""

    async def finish(scope: dict[str, Any], receive: Any, send: Any) -> None:
        with work():
            await application(scope, receive, send)

    def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        return (finish if scope["type"] == "http" else application)(scope, receive, send)

    return markcoroutinefunction(wrapped)


async def shut_down() -> None:
    """Say farewell to the pages, then wait for what was begun."""
    for farewell in _farewells:
        await farewell()
    for _ in range(int(WORK_SECONDS / LOOK_PAUSE_SECONDS)):
        # Once at least, so that the last words are on their way.
        await asyncio.sleep(LOOK_PAUSE_SECONDS)
        if not State.begun:
            break


def shut_down_on_sigterm() -> None:
    """Shut down in good order under Daphne, which by itself drops everything at once. To be called before it runs."""
    from twisted.internet import reactor

    # Once the reactor runs, since it sets handlers of its own when it starts.
    reactor.callWhenRunning(_listen_to_sigterm)


def _listen_to_sigterm() -> None:
    from twisted.internet import reactor

    if threading.current_thread() is not threading.main_thread():
        return  # runserver with its reloader, which ends its child by itself
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

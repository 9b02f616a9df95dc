"""What one process has, which is one event loop: its hub, who looks after that, and the link to other processes."""

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

from apps.core import shutdown
from apps.live.hub import Hub
from apps.live.layer import LayerLink
from apps.live.sealed import SHAPES
from apps.live.watch import Watch


class Process:
    """The parts, put together. All but `tell_soon` is to be called on the process's event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.hub = Hub(begin=self.begin_topic)
        self.watch = Watch(self.hub)
        self.layer = LayerLink(wanted=self.hub.topics.keys(), handle=self.handle)
        # What to do for each type of message, with the fields that it has by SHAPES, in their order.
        self.handlers: dict[str, Callable[..., object]] = {
            "live.change": self.hub.deliver,
            "live.revoke": self.hub.revoke,
            "live.sign_out": self.hub.sign_out,
            "live.check": self.watch.check_topic_soon,
            "live.check_user": self.watch.check_user_later,
            "live.look": self.watch.compare_soon,
        }

    async def begin_topic(self, topic: str) -> None:
        """Somebody starts to listen to a topic: what others post from here on comes through the layer."""
        self.watch.start()
        await self.layer.subscribe(topic)

    def tell_soon(self, message: dict[str, Any]) -> None:
        """Do what the message says here, and have other processes do it. May be called on any thread."""
        self.loop.call_soon_threadsafe(self.tell, message)

    def tell(self, message: dict[str, Any]) -> None:
        """Do what the message says here, and have other processes do it."""
        # Here first, and not through the layer: this process's pages hear even when the layer is gone.
        self.handle(message)
        self.layer.send(message)

    def handle(self, message: dict[str, Any]) -> None:
        """Do what a message says; one of a type that is unknown here, nothing."""
        kind = message["type"]
        if handler := self.handlers.get(kind):
            handler(*(message[field] for field in SHAPES[kind]))


_processes: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Process]" = weakref.WeakKeyDictionary()


def current_process() -> Process:
    """That of the running event loop; a server process has one loop."""
    loop = asyncio.get_running_loop()
    process = _processes.get(loop)
    if process is None:
        process = _processes[loop] = Process()
        shutdown.before_shutdown(process.hub.send_all_back)
    return process


def serving_process() -> Process | None:
    """That of the loop that serves this process's pages, from any thread; None where no page was ever open."""
    return next((process for loop, process in list(_processes.items()) if loop.is_running()), None)

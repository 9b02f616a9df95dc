"""The parts of one process, that is of one event loop: its hub, the hub's watch, and the link to other processes."""

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

from apps.core import shutdown
from apps.live.hub import Hub
from apps.live.layer import LayerLink
from apps.live.news import News, NewsReader
from apps.live.sealed import SHAPES
from apps.live.watch import Watch

# The messages that are news too.
CHANGES = {"live.change", "live.revoke"}

_news_readers: list[Callable[[Hub], NewsReader]] = []


def read_news(make: Callable[[Hub], NewsReader]) -> None:
    """Register who reads the news in each process; `make` gets its hub."""
    _news_readers.append(make)


class Process:
    """The composition root. Call everything on the process's event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.hub = Hub(begin=self.begin_topic)
        self.watch = Watch(self.hub)
        self.layer = LayerLink(wanted=self.hub.topics.keys(), handle=self.handle)
        # The handler for each type of message. Its arguments are the fields in SHAPES, in order.
        self.handlers: dict[str, Callable[..., object]] = {
            "live.change": self.hub.deliver,
            "live.whisper": self.hub.whisper,
            "live.revoke": self.hub.revoke,
            "live.sign_out": self.hub.sign_out,
            "live.check": self.watch.check_topic_soon,
            "live.check_user": self.watch.check_user_later,
            "live.news": self.hear_news,
            "live.look": self.watch.compare_soon,
        }
        self.news = News(self.tell)
        self.news_readers = [make(self.hub) for make in _news_readers]

    async def begin_topic(self, topic: str) -> None:
        """Subscribe to a topic that got its first listener, to receive what other processes post."""
        self.watch.start()
        await self.layer.subscribe(topic)

    def tell(self, message: dict[str, Any]) -> None:
        """Handle a message here, and broadcast it to other processes."""
        # Directly, not through the layer: this process's pages get it even if the layer is down.
        self.handle(message)
        self.layer.send(message)
        if message["type"] in CHANGES:
            self.news.note(topic=message["topic"], user_id=message.get("user_id"))

    def hear_news(self, topics: list[str], people: list[int]) -> None:
        """Pass news to everyone in this process who reads them."""
        for read in self.news_readers:
            read(topics, people)

    def handle(self, message: dict[str, Any]) -> None:
        """Call the message's handler; ignore unknown types."""
        kind = message["type"]
        if handler := self.handlers.get(kind):
            handler(*(message[field] for field in SHAPES[kind]))


_processes: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Process]" = weakref.WeakKeyDictionary()


def current_process() -> Process:
    """Return the Process of the running event loop, creating it if needed; a server process has one loop."""
    loop = asyncio.get_running_loop()
    process = _processes.get(loop)
    if process is None:
        process = _processes[loop] = Process()
        shutdown.before_shutdown(process.hub.send_all_back)
    return process


def serving_process() -> Process | None:
    """Return the Process of the loop that serves pages, from any thread; None if no page was ever opened."""
    return next((process for loop, process in list(_processes.items()) if loop.is_running()), None)

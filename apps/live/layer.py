"""The hub's link to the channel layer: what other processes broadcast, and what this one tells them."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Set
from typing import Any

from channels.layers import get_channel_layer

from apps.core.trouble import Trouble
from apps.live.sealed import ECHO

logger = logging.getLogger(__name__)

# Every process is to compare its topics with the database.
LOOK = {"type": "live.look"}
# The group that every process is in, for what concerns people and not a topic.
EVERYONE = "live.everyone"
# How long the layer may take to accept a frame or a subscription.
TIMEOUT_SECONDS = 2.0
# How long after the layer is back the other processes surely are.
BACK_AGAIN_SECONDS = 3.0
# How often subscriptions are brought up to date.
SUBSCRIBING_PAUSE_SECONDS = 1.0
# How often a process asks whether it hears itself, and for how long it may not.
CALL_PAUSE_SECONDS = 5.0
DEAF_AFTER_SECONDS = 12.0
# Broadcasts that may wait while the layer is away; others find by their number what is dropped.
MAX_WAITING_BROADCASTS = 1000


trouble = Trouble("degraded: redis does not carry what is posted, which others see up to 30 s late", logger)


class LayerLink:
    """
    Subscribes to the topics in `wanted`, which changes, and gives what arrives to `handle`.

    When the layer takes broadcasts again after it did not, every process is told to look for what it missed; a process
    that hears itself again after it did not, looks for itself.
    """

    def __init__(self, wanted: Set[str], handle: Callable[[dict[str, Any]], None]) -> None:
        self.wanted = wanted
        self.handle = handle
        self.is_away = False
        self.channel: str | None = None
        self.subscribed: set[str] = set()
        self.subscribing = asyncio.Lock()
        # When the layer last failed, and when anything last came through it, by the loop's clock.
        self.failed_at = -TIMEOUT_SECONDS
        self.heard_at = asyncio.get_running_loop().time()
        # Whether nothing has come through it since.
        self.is_deaf = False
        self.waiting: deque[dict[str, Any]] = deque(maxlen=MAX_WAITING_BROADCASTS)
        self.sending: asyncio.Task[None] | None = None
        self.tasks: list[asyncio.Task[None]] = []

    # Out

    def send(self, message: dict[str, Any]) -> None:
        """Broadcast to the other processes, in order, as soon as the layer takes it. Never raises."""
        self.waiting.append(message)
        if self.sending is None or self.sending.done():
            self.sending = asyncio.create_task(self.send_waiting())

    async def send_waiting(self) -> None:
        while self.waiting:
            was_away, self.is_away = self.is_away, not await send_to_layer(self.waiting.popleft())
            if was_away and not self.is_away:
                self.handle(LOOK)
                # The others may need a moment longer to be back.
                for pause in (0, BACK_AGAIN_SECONDS):
                    asyncio.get_running_loop().call_later(pause, self.send, LOOK)

    # In

    async def subscribe(self, name: str) -> None:
        """Make the layer's subscription to a topic agree with whether anybody wants it."""
        if not self.tasks:
            # Nothing could be heard before.
            self.heard_at = asyncio.get_running_loop().time()
            self.tasks = [asyncio.create_task(work) for work in (self.receive(), self.keep_subscribed(), self.call())]
        # Nobody's page waits for a layer that fails: `keep_subscribed` tries again.
        if asyncio.get_running_loop().time() - self.failed_at > TIMEOUT_SECONDS:
            await self.bring_up_to_date(name)

    async def bring_up_to_date(self, name: str) -> None:
        """Enter or leave one topic, unless the layer does not let us."""
        layer = get_channel_layer()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self.subscribing:
                if self.channel is None:
                    return  # `receive` subscribes to all topics when it has its channel
                is_wanted = name in self.wanted or name == EVERYONE
                if is_wanted and name not in self.subscribed:
                    await layer.group_add(name, self.channel)
                    self.subscribed.add(name)
                elif not is_wanted and name in self.subscribed:
                    await layer.group_discard(name, self.channel)
                    self.subscribed.discard(name)
        except Exception as error:
            self.failed_at = asyncio.get_running_loop().time()
            trouble.note(error)

    async def keep_subscribed(self) -> None:
        """Leave topics that nobody wants any more, and enter those that the layer did not take when it was asked."""
        while True:
            await asyncio.sleep(SUBSCRIBING_PAUSE_SECONDS)
            began = asyncio.get_running_loop().time()
            for name in self.subscribed ^ {*self.wanted, EVERYONE}:
                await self.bring_up_to_date(name)
                if self.failed_at >= began:
                    break

    async def call(self) -> None:
        """Now and then say something to oneself: a layer may take all that is said, and bring nothing."""
        while True:
            await asyncio.sleep(CALL_PAUSE_SECONDS)
            try:
                if self.channel:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        await get_channel_layer().send(self.channel, ECHO)
            except Exception as error:
                trouble.note(error)
            if asyncio.get_running_loop().time() - self.heard_at > DEAF_AFTER_SECONDS:
                trouble.note("nothing comes back")
                await self.listen_anew()

    async def listen_anew(self) -> None:
        """Subscribe to everything again, over a new connection."""
        self.is_deaf = True
        self.heard_at = asyncio.get_running_loop().time()
        self.tasks[0].cancel()
        await asyncio.wait([self.tasks[0]], timeout=TIMEOUT_SECONDS)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self.subscribing:
                self.channel = None
                await get_channel_layer().flush()
        except Exception as error:
            trouble.note(error)
        self.tasks[0] = asyncio.create_task(self.receive())

    def hear(self, message: dict[str, Any]) -> None:
        """Hand on what was said, unless it was said here."""
        self.heard_at = asyncio.get_running_loop().time()
        if message["type"] != ECHO["type"]:
            self.handle(message)
            return
        trouble.over()
        if self.is_deaf:
            self.is_deaf = False
            self.handle(LOOK)

    async def receive(self) -> None:
        """Hand on what other processes broadcast, for as long as this process lives."""
        layer = get_channel_layer()
        while True:
            try:
                channel = self.channel or await self.open_channel(layer)
                message = await layer.receive(channel)
            except Exception as error:
                trouble.note(error)
                self.channel = None
                await asyncio.sleep(1)
                continue
            try:
                self.hear(message)
            except Exception:
                logger.exception("A broadcast could not be handled")

    async def open_channel(self, layer: Any) -> str:
        """A channel of this process's own, subscribed to every topic that is wanted."""
        async with self.subscribing:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                channel: str = await layer.new_channel()
            wanted = {*self.wanted, EVERYONE}
            for name in wanted:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await layer.group_add(name, channel)
            self.subscribed = wanted
            self.channel = channel
        return channel


async def send_to_layer(message: dict[str, Any]) -> bool:
    """Broadcast to the processes that listen to the message's topic; whether the layer took it. Never raises."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await get_channel_layer().group_send(message.get("topic", EVERYONE), message)
        return True
    except Exception as error:
        trouble.note(error)
        return False

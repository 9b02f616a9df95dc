"""The hub's link to the channel layer: receives what other processes broadcast, and broadcasts to them."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Set
from typing import Any

from channels.layers import get_channel_layer

from apps.core.trouble import Trouble
from apps.live.sealed import ECHO

logger = logging.getLogger(__name__)

# Tells every process to compare its topics with the database.
LOOK = {"type": "live.look"}
# The group that every process joins, for messages about users rather than a topic.
EVERYONE = "live.everyone"
# How long the layer may take to accept a broadcast or a subscription.
TIMEOUT_SECONDS = 2.0
# How long after the layer recovers the other processes will have reconnected.
BACK_AGAIN_SECONDS = 3.0
# How often subscriptions are synchronised.
SUBSCRIBING_PAUSE_SECONDS = 1.0
# How often a process sends itself an echo, and after how long without any message it resubscribes.
CALL_PAUSE_SECONDS = 5.0
DEAF_AFTER_SECONDS = 12.0
# Broadcasts queued while the layer is down. The oldest are dropped; other processes find those changes by number.
MAX_WAITING_BROADCASTS = 1000


trouble = Trouble("degraded: redis does not carry what is posted, which others see up to 30 s late", logger)


class LayerLink:
    """
    Subscribes to the topics in `wanted`, which the hub keeps current, and passes what arrives to `handle`.

    When the layer accepts broadcasts again after a failure, every process is told to check for missed changes. A
    process that receives again after an outage checks its own.
    """

    def __init__(self, wanted: Set[str], handle: Callable[[dict[str, Any]], None]) -> None:
        self.wanted = wanted
        self.handle = handle
        self.is_away = False
        self.channel: str | None = None
        self.subscribed: set[str] = set()
        self.subscribing = asyncio.Lock()
        # When the layer last failed, and when anything last arrived through it, by the loop's clock.
        self.failed_at = -TIMEOUT_SECONDS
        self.heard_at = asyncio.get_running_loop().time()
        # Set on resubscribing, until the first echo arrives.
        self.is_deaf = False
        self.waiting: deque[dict[str, Any]] = deque(maxlen=MAX_WAITING_BROADCASTS)
        self.sending: asyncio.Task[None] | None = None
        self.tasks: list[asyncio.Task[None]] = []

    # Sending

    def send(self, message: dict[str, Any]) -> None:
        """Queue a broadcast to the other processes, sent in order. Never raises."""
        self.waiting.append(message)
        if self.sending is None or self.sending.done():
            self.sending = asyncio.create_task(self.send_waiting())

    async def send_waiting(self) -> None:
        while self.waiting:
            was_away, self.is_away = self.is_away, not await send_to_layer(self.waiting.popleft())
            if was_away and not self.is_away:
                self.handle(LOOK)
                # Other processes may take a moment longer to reconnect.
                for pause in (0, BACK_AGAIN_SECONDS):
                    asyncio.get_running_loop().call_later(pause, self.send, LOOK)

    # Receiving

    async def subscribe(self, name: str) -> None:
        """Subscribe to a topic, or unsubscribe if it is no longer wanted."""
        if not self.tasks:
            # Nothing could have arrived before this.
            self.heard_at = asyncio.get_running_loop().time()
            self.tasks = [asyncio.create_task(work) for work in (self.receive(), self.keep_subscribed(), self.call())]
        # Pages don't wait for a failing layer: `keep_subscribed` retries.
        if asyncio.get_running_loop().time() - self.failed_at > TIMEOUT_SECONDS:
            await self.bring_up_to_date(name)

    async def bring_up_to_date(self, name: str) -> None:
        """Join or leave one topic's group; failures are noted and retried by `keep_subscribed`."""
        layer = get_channel_layer()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self.subscribing:
                if self.channel is None:
                    return  # `receive` subscribes to all topics once it has a channel
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
        """Leave topics that are no longer wanted, and retry failed subscriptions."""
        while True:
            await asyncio.sleep(SUBSCRIBING_PAUSE_SECONDS)
            began = asyncio.get_running_loop().time()
            for name in self.subscribed ^ {*self.wanted, EVERYONE}:
                await self.bring_up_to_date(name)
                if self.failed_at >= began:
                    break

    async def call(self) -> None:
        """Send this process an echo at intervals: a layer may accept messages without delivering any."""
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
                await self.resubscribe()

    async def resubscribe(self) -> None:
        """Resubscribe to everything over a new connection."""
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
        """Pass a message on, unless this process sent it."""
        self.heard_at = asyncio.get_running_loop().time()
        if message["type"] != ECHO["type"]:
            self.handle(message)
            return
        trouble.over()
        if self.is_deaf:
            self.is_deaf = False
            self.handle(LOOK)

    async def receive(self) -> None:
        """Pass on what other processes broadcast, until this process ends."""
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
        """Open a channel for this process, subscribed to every wanted topic."""
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
    """Broadcast to the processes subscribed to the message's topic; return whether that succeeded. Never raises."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await get_channel_layer().group_send(message.get("topic", EVERYONE), message)
        return True
    except Exception as error:
        trouble.note(error)
        return False

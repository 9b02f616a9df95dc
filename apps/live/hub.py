"""
The hub: one for each process (each event loop), between the channel layer and this process's open pages.

A topic is a stream of numbered changes. The hub hands each change to every listener of its topic, in the order
of the numbers and each once. It knows no model: what a listener missed, and who may listen, it asks of the source
that was registered for the topic's kind. The layer is only a hint: what it loses, the next
number betrays, or a look at the database now and then.
"""

import asyncio
import logging
import random
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

# How long a number may be missing before the database is asked: two processes' posts often cross in the layer.
GAP_PATIENCE = 0.05
# This many frames may wait for a listener that is catching up, or in a topic for a missing number. What is more
# than that is forgotten: the listener comes back for it, the topic asks the database.
MOST_WAITING = 1000
# How often the layer's subscriptions are brought up to date where that failed, in seconds.
SUBSCRIPTIONS_PAUSE = 1.0
# Between two looks at whether the database is ahead of what was handed out, at random so that processes differ.
HEADS_PAUSE = (20.0, 30.0)
# How long a post waits for the channel layer to take its frame.
LAYER_PATIENCE = 2.0


@dataclass(frozen=True)
class Batch:
    """All that changed since some number: what to show, and the number it brings the reader to."""

    head: int
    html: str


class Source(Protocol):
    """Who knows about the topics of one kind, named `kind.<anything>`."""

    async def replay(self, topic: str, since: int) -> Batch:
        """All that changed in the topic after number `since`."""

    async def heads(self, topics: list[str]) -> dict[str, int]:
        """The last number of each of the topics that still exist, in one query."""

    async def allowed(self, topic: str, user_ids: set[int | None]) -> set[int | None]:
        """Those of the users (None: nobody signed in) who may listen to the topic."""


_sources: dict[str, Source] = {}


def register(kind: str, source: Source) -> None:
    """Say who knows about topics named `kind.<anything>`."""
    _sources[kind] = source


def source_of(topic: str) -> Source:
    """Who was registered for the topic's kind."""
    return _sources[topic.partition(".")[0]]


class Listener(Protocol):
    """An open page: a socket or a stream."""

    user_id: int | None

    async def send_frame(self, frame: str) -> None:
        """Hand one frame to the page."""

    async def revoke(self, html: str) -> None:
        """Show `html`, then end: this page may no longer listen."""

    async def send_back(self) -> None:
        """End, so that the page connects again and catches up."""


@dataclass(eq=False)
class Subscription:
    """A listener's place in a topic."""

    listener: Listener
    seen: int
    # Frames that arrived while the replay was under way; None once it has caught up.
    backlog: list[tuple[int, str]] | None = None


@dataclass(eq=False)
class Topic:
    """A topic that somebody in this process listens to. `head` is the last number handed out."""

    name: str
    head: int
    subscriptions: dict[Listener, Subscription] = field(default_factory=dict)
    early: dict[int, str] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    filling: asyncio.Task[None] | None = None


def frame(*, after: int, seq: int, html: str) -> str:
    """A frame for the page: it takes a page that stands at number `after` to number `seq`."""
    # It begins with a tag of ours, so that no frame can be taken for the JSON envelope of htmx's extension.
    return f'<hx-seq after="{after}" value="{seq}"></hx-seq>{html}'


class Hub:
    """See the module."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.channel: str | None = None
        self.subscribed: set[str] = set()
        self.subscribing = asyncio.Lock()
        self.tasks: list[asyncio.Task[None]] = []

    # Listeners come and go

    async def join(self, listener: Listener, name: str, *, since: int, head: int) -> None:
        """
        Let `listener` hear the topic from number `since` on; `head` is the topic's last number as just read.

        On return it has been sent all that it missed.
        """
        topic = self.topics.get(name)
        if topic is None:
            topic = self.topics[name] = Topic(name, head)
            is_behind = True
        else:
            is_behind = since < max(topic.head, head)
        subscription = Subscription(listener, since, [] if is_behind else None)
        topic.subscriptions[listener] = subscription
        await self.subscribe(name)
        if is_behind:
            try:
                await self.catch_up(topic, subscription)
            except BaseException:
                await self.leave(listener, name)
                raise

    async def catch_up(self, topic: Topic, subscription: Subscription) -> None:
        """Send one listener what it missed, then what arrived meanwhile."""
        batch = await source_of(topic.name).replay(topic.name, subscription.seen)
        if batch.head > subscription.seen:
            await subscription.listener.send_frame(
                frame(after=subscription.seen, seq=batch.head, html=batch.html),
            )
            subscription.seen = batch.head
        for seq, text in subscription.backlog or []:
            if seq > subscription.seen:
                await subscription.listener.send_frame(text)
        subscription.backlog = None
        if batch.head > topic.head:
            self.fill_gap_soon(topic)

    async def leave(self, listener: Listener, name: str) -> None:
        """Forget the listener; the last one out ends the topic."""
        topic = self.topics.get(name)
        if topic is None:
            return
        topic.subscriptions.pop(listener, None)
        if not topic.subscriptions:
            del self.topics[name]
            if topic.filling:
                topic.filling.cancel()
            await self.subscribe(name)

    # Changes arrive

    async def deliver(self, name: str, seq: int, html: str) -> None:
        """Hand change `seq` of a topic to its listeners, or keep it until those before it have come."""
        topic = self.topics.get(name)
        if topic is None or seq <= topic.head:
            return
        if len(topic.early) == MOST_WAITING:
            topic.early.clear()
        topic.early[seq] = html
        async with topic.lock:
            await self.hand_out(topic)
        if topic.early:
            self.fill_gap_soon(topic)

    async def hand_out(self, topic: Topic) -> None:
        """Hand out what directly follows the topic's head. The caller holds the topic's lock."""
        for seq in [seq for seq in topic.early if seq <= topic.head]:
            del topic.early[seq]
        while (html := topic.early.pop(topic.head + 1, None)) is not None:
            await self.fan_out(topic, Batch(topic.head + 1, html))

    async def fan_out(self, topic: Topic, batch: Batch) -> None:
        """Send one frame, made once, to every listener of the topic. The caller holds the topic's lock."""
        text = frame(after=topic.head, seq=batch.head, html=batch.html)
        topic.head = batch.head
        for subscription in list(topic.subscriptions.values()):
            if batch.head <= subscription.seen:
                continue
            try:
                if subscription.backlog is None:
                    await subscription.listener.send_frame(text)
                elif len(subscription.backlog) < MOST_WAITING:
                    subscription.backlog.append((batch.head, text))
                else:
                    await self.drop(subscription.listener, topic.name)
            except Exception:
                logger.exception("A listener of %s failed", topic.name)
                await self.drop(subscription.listener, topic.name)

    async def drop(self, listener: Listener, name: str) -> None:
        """Give up on a listener, which may come back."""
        await self.leave(listener, name)
        try:
            await listener.send_back()
        except Exception:
            logger.exception("A listener of %s could not be sent back", name)

    def fill_gap_soon(self, topic: Topic) -> None:
        """Ask the database for missing numbers, unless they come by themselves in a moment."""
        if topic.filling is None or topic.filling.done():
            topic.filling = asyncio.create_task(self.fill_gap(topic))

    async def fill_gap(self, topic: Topic) -> None:
        """Bring the topic to the database's head."""
        await asyncio.sleep(GAP_PATIENCE)
        while self.topics.get(topic.name) is topic:
            try:
                async with topic.lock:
                    batch = await source_of(topic.name).replay(topic.name, topic.head)
                    if batch.head > topic.head:
                        await self.fan_out(topic, batch)
                    await self.hand_out(topic)
                if not topic.early:
                    return
            except Exception:
                logger.exception("Could not replay %s; trying again", topic.name)
            await asyncio.sleep(1)

    async def revoke(self, name: str, user_id: int | None, html: str) -> None:
        """End the pages that one person (or, with None, anybody) has open on a topic."""
        await self.end(name, lambda listener: user_id is None or listener.user_id == user_id, html)

    async def check(self, name: str, html: str) -> None:
        """End the pages of those who may no longer listen to a topic."""
        if name in self.topics:
            listening = {listener.user_id for listener in self.topics[name].subscriptions}
            allowed = await source_of(name).allowed(name, listening)
            await self.end(name, lambda listener: listener.user_id not in allowed, html)

    async def watch_heads(self) -> None:
        """Look now and then for what the layer has lost, for as long as this process lives."""
        while True:
            await asyncio.sleep(random.uniform(*HEADS_PAUSE))  # noqa: S311  # no secret
            try:
                await self.compare_heads()
            except Exception:
                logger.exception("Could not compare the topics with the database")

    async def compare_heads(self) -> None:
        """Catch up on topics whose last change never came: no later number betrays that one."""
        for kind, source in _sources.items():
            names = [name for name in self.topics if name.partition(".")[0] == kind]
            heads = await source.heads(names) if names else {}
            for name, head in heads.items():
                topic = self.topics.get(name)
                if topic and head > topic.head:
                    self.fill_gap_soon(topic)

    async def end(self, name: str, is_meant: Callable[[Listener], bool], html: str) -> None:
        """End some of a topic's pages; `html` tells them why."""
        topic = self.topics.get(name)
        for listener in [one for one in topic.subscriptions if is_meant(one)] if topic else []:
            await self.leave(listener, name)
            await listener.revoke(html)

    # The channel layer

    async def subscribe(self, name: str) -> None:
        """Make the layer's subscription to a topic agree with whether anybody listens to it."""
        if not self.tasks:
            work = (self.read_layer(), self.watch_heads(), self.keep_subscribed())
            self.tasks = [asyncio.create_task(one) for one in work]
        layer = get_channel_layer()
        async with self.subscribing:
            if self.channel is None:
                return  # read_layer subscribes to all topics when it has its channel
            try:
                async with asyncio.timeout(LAYER_PATIENCE):
                    if name in self.topics and name not in self.subscribed:
                        await layer.group_add(name, self.channel)
                        self.subscribed.add(name)
                    elif name not in self.topics and name in self.subscribed:
                        await layer.group_discard(name, self.channel)
                        self.subscribed.discard(name)
            except Exception as error:
                # keep_subscribed tries again.
                logger.warning("The channel layer did not take a subscription to %s: %r", name, error)

    async def keep_subscribed(self) -> None:
        """Subscribe to what the layer did not take when it was asked, for as long as this process lives."""
        while True:
            await asyncio.sleep(SUBSCRIPTIONS_PAUSE)
            for name in self.subscribed.symmetric_difference(self.topics):
                await self.subscribe(name)

    async def read_layer(self) -> None:
        """Hand on what other processes broadcast, for as long as this process lives."""
        layer = get_channel_layer()
        while True:
            try:
                channel = self.channel or await self.open_channel(layer)
                message = await layer.receive(channel)
            except Exception as error:
                logger.warning("The channel layer cannot be read, trying again: %r", error)
                self.channel = None
                await asyncio.sleep(1)
                continue
            try:
                await self.handle(message)
            except Exception:
                logger.exception("A broadcast could not be handled")

    async def open_channel(self, layer: Any) -> str:
        """A channel of this process's own, subscribed to every topic that is listened to."""
        async with self.subscribing:
            channel: str = await layer.new_channel()
            for name in list(self.topics):
                await layer.group_add(name, channel)
            self.subscribed = set(self.topics)
            self.channel = channel
        return channel

    async def handle(self, message: dict[str, Any]) -> None:
        """Do what another process's broadcast says."""
        if message["type"] == "live.change":
            await self.deliver(message["topic"], message["seq"], message["html"])
        elif message["type"] == "live.revoke":
            await self.revoke(message["topic"], message["user_id"], message["html"])
        elif message["type"] == "live.check":
            await self.check(message["topic"], message["html"])


_hubs: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = weakref.WeakKeyDictionary()


def current_hub() -> Hub:
    """The hub of the running event loop; a server process has one loop, and so one hub."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())

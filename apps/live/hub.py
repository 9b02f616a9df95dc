"""
The hub: the open pages of one process (process.py), and how changes reach them.

A topic is a stream of numbered changes. The hub sends each change to every listener of its topic, in the order of
the numbers and exactly once. It knows no models: it asks the source registered for the topic's kind what a listener
missed and who may listen. The channel layer is only a hint: changes it loses are found by a gap in the numbers or by
periodic comparison with the database (watch.py).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator

from django.conf import settings

from apps.core.hashing import digest
from apps.live.gaps import Gaps
from apps.live.lines import Burst, until_read
from apps.live.listeners import COME_BACK, NO_LONGER_ALLOWED, SIGNED_OUT, Listener
from apps.live.replays import Replays
from apps.live.sources import frame
from apps.live.topics import Subscription, Topic

# Frames buffered for a listener that is catching up, or in a topic with a missing number. Beyond this they are
# dropped: the listener reconnects, the topic queries the database.
MAX_WAITING_FRAMES = 1000
# Sockets admitted concurrently, so that a reconnect storm after a restart doesn't hold up posts.
DOORS = 4
# The pause between two sends of a topic, as a multiple of the time the last one took; and its maximum.
REST_FACTOR = 4
MAX_REST_SECONDS = 0.02
# The pause between two pages that are told to reconnect at shutdown, and the maximum for all of them.
SHUTDOWN_PAUSE_SECONDS = 0.02
MAX_SHUTDOWN_SECONDS = 5.0


class Hub:
    """
    See the module. Call everything but `is_unheard` on the hub's own event loop.

    `begin` is awaited when a topic gets its first listener, before that listener catches up.
    """

    def __init__(self, begin: Callable[[str], Awaitable[None]]) -> None:
        self.loop = asyncio.get_running_loop()
        self.topics: dict[str, Topic] = {}
        self.begin = begin
        self.replays = Replays(self.topics)
        self.gaps = Gaps(self.topics, self.replays, fan_out=self.fan_out, hand_out=self.hand_out)
        self.doors = asyncio.Semaphore(DOORS)

    # Joining and leaving

    async def join(self, listener: Listener, name: str, *, since: int, head: int) -> None:
        """
        Add `listener` to a topic, from number `since` on; `head` is the topic's last number as just read.

        On return the listener has been sent everything it missed.
        """
        topic = self.topics.get(name)
        is_new = topic is None
        if topic is None:
            topic = self.topics[name] = Topic(name, head)
        needed = max(topic.head, head)
        subscription = Subscription(listener, since, [] if is_new or since < needed else None)
        topic.subscriptions[listener] = subscription
        if subscription.backlog is None:
            return
        try:
            if is_new:
                await self.begin(name)
            await self.catch_up(topic, subscription, needed)
        except BaseException:
            self.leave(listener, name)
            raise

    async def catch_up(self, topic: Topic, subscription: Subscription, needed: int) -> None:
        """Send a listener what it missed, at the pace it reads, then what has arrived since."""
        line = subscription.listener.line
        while True:
            batch = await self.replays.since(topic.name, subscription.seen)
            if batch.head <= subscription.seen:
                break
            for burst in batch.bursts:
                if not line.write(burst) or not await until_read(line):
                    self.drop(subscription.listener, topic.name)
                    return
            subscription.seen = batch.head
            # A replay shared with another page may have been queried before this page was subscribed.
            if batch.head >= needed:
                break
        texts = [text for seq, text in subscription.backlog or [] if seq > subscription.seen]
        subscription.backlog = None
        if texts:
            line.write(Burst(texts))
        if subscription.seen > topic.head:
            self.gaps.fill_soon(topic)

    def leave(self, listener: Listener, name: str) -> None:
        """Remove a listener, and the topic with its last one."""
        topic = self.topics.get(name)
        if topic is None:
            return
        topic.subscriptions.pop(listener, None)
        if not topic.subscriptions:
            del self.topics[name]
            # By the time the topic is opened again, the database may have been rolled back.
            self.replays.forget(name)
            if topic.filling:
                topic.filling.cancel()

    def drop(self, listener: Listener, name: str) -> None:
        """Disconnect a listener, which may reconnect."""
        self.leave(listener, name)
        listener.end(COME_BACK)

    def start_anew(self, name: str) -> None:
        """Make the topic's pages reconnect, which checks their numbers and their viewers' rights again."""
        topic = self.topics.get(name)
        for listener in list(topic.subscriptions) if topic else []:
            # Dropping the last one removes the topic.
            self.drop(listener, name)

    def listeners(self) -> Iterator[tuple[str, Listener]]:
        """Yield every listener with the name of its topic."""
        for topic in list(self.topics.values()):
            for listener in list(topic.subscriptions):
                yield topic.name, listener

    async def send_all_back(self) -> None:
        """Tell every page to reconnect, one at a time in random order, so that they don't all come back at once."""
        everybody = list(self.listeners())
        random.shuffle(everybody)
        pause = min(MAX_SHUTDOWN_SECONDS / max(1, len(everybody)), SHUTDOWN_PAUSE_SECONDS)
        for name, listener in everybody:
            self.drop(listener, name)
            await asyncio.sleep(pause)

    # Delivering changes

    def deliver(self, name: str, seq: int, html: str) -> None:
        """Send change `seq` of a topic to its listeners, or keep it until the changes before it have arrived."""
        topic = self.topics.get(name)
        if topic is None or seq <= topic.head:
            return
        if len(topic.early) == MAX_WAITING_FRAMES:
            topic.early.clear()
        topic.early[seq] = html
        # A crowded room pauses after sending: other rooms get most of the loop's time, and changes that arrive during
        # the pause go out together.
        if topic.handing_out is None:
            if topic.rests_until <= self.loop.time():
                self.hand_out(topic)
            else:
                topic.handing_out = self.loop.call_at(topic.rests_until, self.hand_out, topic)

    def is_unheard(self, name: str) -> bool:
        """Return whether a topic has no listeners; always False with Redis. May be called on any thread."""
        return not settings.REDIS_URL and name not in self.topics

    def look_for(self, name: str, seq: int) -> None:
        """Check for a change that was sent to no one: a listener that has joined since may have missed it."""
        topic = self.topics.get(name)
        if topic and seq > topic.head:
            self.gaps.fill_soon(topic)

    def hand_out(self, topic: Topic) -> None:
        """Send the changes that directly follow the topic's head."""
        topic.handing_out = None
        if topic.checks:
            return
        frames: list[tuple[int, str]] = []
        after = topic.head
        while (html := topic.early.pop(topic.head + 1, None)) is not None:
            topic.head += 1
            frames.append((topic.head, frame(after=topic.head - 1, seq=topic.head, html=html)))
        if frames:
            began = self.loop.time()
            self.fan_out(topic, after, frames)
            ended = self.loop.time()
            topic.rests_until = ended + min(REST_FACTOR * (ended - began), MAX_REST_SECONDS)
        for seq in [seq for seq in topic.early if seq <= topic.head]:
            del topic.early[seq]
        if topic.early:
            self.gaps.fill_soon(topic)

    def fan_out(self, topic: Topic, after: int, frames: list[tuple[int, str]]) -> None:
        """Write the frames, built and encoded once, to every listener of a topic that stood at `after`."""
        burst = Burst([text for _, text in frames])
        lost = []
        for subscription in list(topic.subscriptions.values()):
            if subscription.backlog is None and subscription.seen <= after:
                if not subscription.listener.line.write(burst):
                    lost.append(subscription.listener)
                continue
            unseen = [(seq, text) for seq, text in frames if seq > subscription.seen]
            if subscription.backlog is None:
                subscription.listener.line.write(Burst([text for _, text in unseen]))
            elif len(subscription.backlog) + len(unseen) <= MAX_WAITING_FRAMES:
                subscription.backlog += unseen
            else:
                lost.append(subscription.listener)
        for listener in lost:
            self.drop(listener, topic.name)

    # Ending pages

    def end(self, name: str, is_meant: Callable[[Listener], bool], code: int, html: str = "") -> None:
        """End some of a topic's pages; `html` tells them why."""
        topic = self.topics.get(name)
        for listener in [one for one in topic.subscriptions if is_meant(one)] if topic else []:
            self.leave(listener, name)
            listener.end(code, html)

    def revoke(self, name: str, user_id: int | None, html: str) -> None:
        """End the pages that one user (all users if None) has open on a topic."""
        self.end(name, lambda one: user_id is None or one.sign_in.user_id == user_id, NO_LONGER_ALLOWED, html)

    def sign_out(self, session: str) -> None:
        """End all pages of a session that has ended; `session` is the digest of its key."""
        for name in list(self.topics):
            self.end(name, lambda one: digest(one.sign_in.session_key) == session, SIGNED_OUT)

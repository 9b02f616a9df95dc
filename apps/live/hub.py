"""
The hub: the open pages of one process (process.py), and how changes reach them.

A topic is a series of numbered changes; a feed is a topic in one language. The hub sends each change to every listener
of its topic, in the order of the numbers and exactly once. It knows no models: it asks the source registered for the
topic's kind what a listener missed and who may listen. The channel layer is only a hint: changes it loses are found by
a gap in the numbers or by periodic comparison with the database (watch.py).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from apps.core.hashing import digest
from apps.live.feeds import Feed, Subscription
from apps.live.frames import Burst, Frame, numbered, unnumbered
from apps.live.gaps import Gaps
from apps.live.lines import until_read
from apps.live.listeners import COME_BACK, NO_LONGER_ALLOWED, SIGNED_OUT, Listener
from apps.live.parts import Part, Parts
from apps.live.replay_cache import ReplayCache
from apps.live.sources import in_language

# Frames buffered for a listener that is catching up, or in a feed with a missing number. Beyond this they are
# dropped: the listener reconnects, the feed queries the database.
MAX_WAITING_FRAMES = 1000
# Sockets admitted concurrently, so that a reconnect storm after a restart doesn't hold up posts.
DOORS = 4
# The pause between two sends of a feed, as a multiple of the time the last one took; and its maximum.
REST_FACTOR = 4
MAX_REST_SECONDS = 0.02
# The pause between two pages that are told to reconnect at shutdown, and the maximum for all of them.
SHUTDOWN_PAUSE_SECONDS = 0.02
MAX_SHUTDOWN_SECONDS = 5.0


# The parts of a change by language. From another process they come as plain lists.
Renderings = Mapping[str, Sequence[Sequence[object]]]


class Hub:
    """
    See the module. Call everything but `languages_of` on the hub's own event loop.

    `begin` is awaited when a topic gets its first listener in a language, before that listener catches up.
    """

    def __init__(self, begin: Callable[[str], Awaitable[None]]) -> None:
        self.loop = asyncio.get_running_loop()
        # By name, and by topic and language.
        self.feeds: dict[str, Feed] = {}
        self.topics: dict[str, dict[str, Feed]] = {}
        self.begin = begin
        self.replays = ReplayCache(self.feeds)
        self.gaps = Gaps(self.feeds, self.replays, fan_out=self.fan_out, hand_out=self.hand_out)
        self.doors = asyncio.Semaphore(DOORS)

    # Joining and leaving

    async def join(self, listener: Listener, topic: str, *, since: int, head: int) -> None:
        """
        Add `listener` to a topic, from number `since` on; `head` is the topic's last number as just read.

        On return the listener has been sent everything it missed.
        """
        name = in_language(topic, listener.language)
        feed = self.feeds.get(name)
        is_new = feed is None
        if feed is None:
            feed = self.feeds[name] = Feed(topic, listener.language, name, head)
            self.topics.setdefault(topic, {})[listener.language] = feed
        needed = max(feed.head, head)
        subscription = Subscription(listener, since, [] if is_new or since < needed else None)
        feed.subscriptions[listener] = subscription
        listener.feeds.append(name)
        if subscription.backlog is None:
            return
        try:
            if is_new:
                await self.begin(topic)
            await self.catch_up(feed, subscription, needed)
        except BaseException:
            self.leave(listener)
            raise

    async def catch_up(self, feed: Feed, subscription: Subscription, needed: int) -> None:
        """Send a listener what it missed, at the pace it reads, then what has arrived since."""
        line = subscription.listener.line
        while True:
            replay = await self.replays.since(feed, subscription.seen)
            if replay.head <= subscription.seen:
                break
            for burst in replay.bursts:
                if not line.write(burst) or not await until_read(line):
                    self.drop(subscription.listener)
                    return
            subscription.seen = replay.head
            # A replay shared with another page may have been queried before this page was subscribed.
            if replay.head >= needed:
                break
        frames = [frame for seq, frame in subscription.backlog or [] if seq > subscription.seen]
        subscription.backlog = None
        if frames:
            line.write(Burst(frames))
        if subscription.seen > feed.head:
            self.gaps.fill_soon(feed)

    def leave(self, listener: Listener) -> None:
        """Remove a listener from all its feeds, and each feed with its last listener."""
        for name in listener.feeds:
            feed = self.feeds.get(name)
            if feed:
                feed.subscriptions.pop(listener, None)
                if not feed.subscriptions:
                    self.close(feed)
        listener.feeds.clear()

    def close(self, feed: Feed) -> None:
        """Remove a feed that has no listeners."""
        del self.feeds[feed.name]
        del self.topics[feed.topic][feed.language]
        if not self.topics[feed.topic]:
            del self.topics[feed.topic]
        # By the time the feed is opened again, the database may have been rolled back.
        self.replays.forget(feed.name)
        if feed.filling:
            feed.filling.cancel()

    def drop(self, listener: Listener) -> None:
        """Disconnect a listener, which may reconnect."""
        self.leave(listener)
        listener.end(COME_BACK)

    def reconnect_all(self, name: str) -> None:
        """Make the feed's pages reconnect, which checks their numbers and their viewers' rights again."""
        feed = self.feeds.get(name)
        for listener in list(feed.subscriptions) if feed else []:
            # Dropping the last one removes the feed.
            self.drop(listener)

    def listeners(self) -> Iterator[Listener]:
        """Yield every listener once."""
        seen: set[Listener] = set()
        for feed in list(self.feeds.values()):
            for listener in list(feed.subscriptions):
                if listener not in seen:
                    seen.add(listener)
                    yield listener

    async def send_all_back(self) -> None:
        """Tell every page to reconnect, one at a time in random order, so that they don't all come back at once."""
        everybody = list(self.listeners())
        random.shuffle(everybody)
        pause = min(MAX_SHUTDOWN_SECONDS / max(1, len(everybody)), SHUTDOWN_PAUSE_SECONDS)
        for listener in everybody:
            self.drop(listener)
            await asyncio.sleep(pause)

    # Delivering changes

    def languages_of(self, topic: str) -> list[str]:
        """Return the languages in which the topic has listeners here. May be called on any thread."""
        return list(self.topics.get(topic, ()))

    def feeds_of(self, topic: str) -> list[Feed]:
        """Return the topic's feeds."""
        return list(self.topics.get(topic, {}).values())

    def deliver(self, topic: str, seq: int, renderings: Renderings) -> None:
        """
        Send change `seq` of a topic to its listeners, or keep it until the changes before it have arrived.

        A feed in a language that it wasn't rendered in reads it from the database.
        """
        for feed in self.feeds_of(topic):
            if seq <= feed.head:
                continue
            if (parts := renderings.get(feed.language)) is None:
                feed.announced = max(feed.announced, seq)
                self.gaps.fill_soon(feed, patience=0)
                continue
            if len(feed.early) == MAX_WAITING_FRAMES:
                feed.early.clear()
            feed.early[seq] = parts_from(parts)
            # A crowded room pauses after sending: other rooms get most of the loop's time, and changes that arrive
            # during the pause go out together.
            if feed.handing_out is None:
                if feed.rests_until <= self.loop.time():
                    self.hand_out(feed)
                else:
                    feed.handing_out = self.loop.call_at(feed.rests_until, self.hand_out, feed)

    def hand_out(self, feed: Feed) -> None:
        """Send the changes that directly follow the feed's head."""
        feed.handing_out = None
        if feed.checks:
            return
        frames: list[tuple[int, Frame]] = []
        after = feed.head
        while (parts := feed.early.pop(feed.head + 1, None)) is not None:
            feed.head += 1
            frames.append((feed.head, numbered(feed.topic, parts, after=feed.head - 1, seq=feed.head)))
        if frames:
            began = self.loop.time()
            self.fan_out(feed, after, frames)
            ended = self.loop.time()
            feed.rests_until = ended + min(REST_FACTOR * (ended - began), MAX_REST_SECONDS)
        for seq in [seq for seq in feed.early if seq <= feed.head]:
            del feed.early[seq]
        if feed.early:
            self.gaps.fill_soon(feed)

    def fan_out(self, feed: Feed, after: int, frames: list[tuple[int, Frame]]) -> None:
        """Write the frames, built and encoded once, to every listener of a feed that stood at `after`."""
        burst = Burst([frame for _, frame in frames])
        lost = []
        for subscription in list(feed.subscriptions.values()):
            if subscription.backlog is None and subscription.seen <= after:
                if not subscription.listener.line.write(burst):
                    lost.append(subscription.listener)
                continue
            unseen = [(seq, frame) for seq, frame in frames if seq > subscription.seen]
            if subscription.backlog is None:
                subscription.listener.line.write(Burst([frame for _, frame in unseen]))
            elif len(subscription.backlog) + len(unseen) <= MAX_WAITING_FRAMES:
                subscription.backlog += unseen
            else:
                lost.append(subscription.listener)
        for listener in lost:
            self.drop(listener)

    def whisper(self, topic: str, renderings: Renderings) -> None:
        """Show something to a topic's listeners that takes no number and isn't replayed."""
        for feed in self.feeds_of(topic):
            if parts := renderings.get(feed.language):
                burst = Burst([unnumbered(parts_from(parts))])
                for listener in list(feed.subscriptions):
                    if not listener.line.write(burst):
                        self.drop(listener)

    # Ending pages

    def end(self, name: str, is_meant: Callable[[Listener], bool], code: int, parts: Parts = ()) -> None:
        """End some of a feed's pages; `parts` tell them why."""
        feed = self.feeds.get(name)
        for listener in [one for one in feed.subscriptions if is_meant(one)] if feed else []:
            self.leave(listener)
            listener.end(code, parts)

    def revoke(self, topic: str, user_id: int | None, renderings: Renderings) -> None:
        """End the pages that one user (or, with None, everyone) has open on a topic."""
        for feed in self.feeds_of(topic):
            parts = parts_from(renderings.get(feed.language, ()))
            self.end(feed.name, lambda one: user_id is None or one.sign_in.user_id == user_id, NO_LONGER_ALLOWED, parts)

    def sign_out(self, session: str) -> None:
        """End all pages of a session that has ended; `session` is the digest of its key."""
        for name in list(self.feeds):
            self.end(name, lambda one: digest(one.sign_in.session_key) == session, SIGNED_OUT)


def parts_from(values: Sequence[Sequence[object]]) -> Parts:
    """Return the parts that another process sent as plain lists; a newer version of the site may send more in each."""
    return tuple(Part(*value[: len(Part._fields)]) for value in values)  # type: ignore[arg-type]  # sealed.py vouches for the sender

"""Replays of missed changes, queried once for all listeners that need the same, as after a restart."""

import asyncio
from typing import NamedTuple

from apps.live.feeds import Feed
from apps.live.frames import Burst
from apps.live.sources import source_of

# Replays cached until the next comparison with the database.
MAX_KEPT_REPLAYS = 32


class Replay(NamedTuple):
    """The bursts that bring a page to number `head`."""

    head: int
    bursts: list[Burst]


class ReplayCache:
    """Replays of the feeds in `feeds`, which is the hub's own dictionary."""

    def __init__(self, feeds: dict[str, Feed]) -> None:
        self.feeds = feeds
        self.asked: dict[tuple[str, int], asyncio.Task[Replay]] = {}
        self.kept: dict[tuple[str, int], Replay] = {}

    async def since(self, feed: Feed, number: int) -> Replay:
        """Return what changed in a feed after a number."""
        key = (feed.name, number)
        replay = self.kept.get(key)
        if replay and replay.head >= feed.head:
            return replay
        task = self.asked.get(key)
        if task is None:
            task = self.asked[key] = asyncio.create_task(ask(feed, number))
            task.add_done_callback(lambda done: self.keep(key, done))
        return await asyncio.shield(task)

    def keep(self, key: tuple[str, int], done: asyncio.Task[Replay]) -> None:
        """Cache a replay, unless it failed or has nothing new."""
        del self.asked[key]
        is_good = not done.cancelled() and not done.exception() and done.result().head > key[1]
        if is_good and key[0] in self.feeds:
            self.kept[key] = done.result()
            if len(self.kept) > MAX_KEPT_REPLAYS:
                del self.kept[next(iter(self.kept))]

    def forget(self, name: str) -> None:
        """Drop the cached answers of a feed."""
        self.kept = {key: replay for key, replay in self.kept.items() if key[0] != name}

    def forget_all(self) -> None:
        """Drop all cached replays."""
        self.kept.clear()


async def ask(feed: Feed, number: int) -> Replay:
    """Ask the feed's source what changed after a number."""
    batch = await source_of(feed.name).replay(feed.name, number)
    return Replay(batch.head, batch.bursts(feed.topic))

"""Replays of missed changes, queried once for all listeners that need the same, as after a restart."""

import asyncio

from apps.live.sources import Batch, source_of
from apps.live.topics import Topic

# Replays cached until the next comparison with the database.
MAX_KEPT_ANSWERS = 32


class Replays:
    """Replays of the topics in `topics`, which is the hub's own dictionary."""

    def __init__(self, topics: dict[str, Topic]) -> None:
        self.topics = topics
        self.asked: dict[tuple[str, int], asyncio.Task[Batch]] = {}
        self.kept: dict[tuple[str, int], Batch] = {}

    async def since(self, name: str, number: int) -> Batch:
        """Return what changed in a topic after a number."""
        key = (name, number)
        batch = self.kept.get(key)
        topic = self.topics.get(name)
        if batch and topic and batch.head >= topic.head:
            return batch
        task = self.asked.get(key)
        if task is None:
            task = self.asked[key] = asyncio.create_task(source_of(name).replay(name, number))
            task.add_done_callback(lambda done: self.keep(key, done))
        return await asyncio.shield(task)

    def keep(self, key: tuple[str, int], done: asyncio.Task[Batch]) -> None:
        """Cache a replay, unless it failed or has nothing new."""
        del self.asked[key]
        is_good = not done.cancelled() and not done.exception() and done.result().head > key[1]
        if is_good and key[0] in self.topics:
            self.kept[key] = done.result()
            if len(self.kept) > MAX_KEPT_ANSWERS:
                del self.kept[next(iter(self.kept))]

    def forget(self, name: str) -> None:
        """Drop the cached replays of a topic."""
        self.kept = {key: batch for key, batch in self.kept.items() if key[0] != name}

    def forget_all(self) -> None:
        """Drop all cached replays."""
        self.kept.clear()

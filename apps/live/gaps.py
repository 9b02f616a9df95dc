"""Fill gaps in a topic's numbers from the database, and drop numbers that were announced but never stored."""

import asyncio
import logging
from collections.abc import Callable

from apps.core.database import NO_DATABASE
from apps.core.trouble import Seldom
from apps.live.replays import Replays
from apps.live.topics import Topic

logger = logging.getLogger(__name__)
unknown = Seldom(logger)

# How long a number may be missing before the database is queried: posts of two processes often cross in the layer.
PATIENCE_SECONDS = 0.05
# Queries, with exponential backoff, before numbers that the database does not have are dropped.
MAX_QUESTIONS = 5


# Writes numbered frames to the topic's listeners; the second argument is the number that the frames follow.
FanOut = Callable[[Topic, int, list[tuple[int, str]]], None]


class Gaps:
    """The gaps in `topics`. Changes found are sent with `fan_out`; frames that arrived early follow by `hand_out`."""

    def __init__(
        self, topics: dict[str, Topic], replays: Replays, *, fan_out: FanOut, hand_out: Callable[[Topic], None]
    ) -> None:
        self.topics = topics
        self.replays = replays
        self.fan_out = fan_out
        self.hand_out = hand_out

    def fill_soon(self, topic: Topic) -> None:
        """Query the database for missing numbers, unless they arrive within a moment."""
        if topic.filling is None or topic.filling.done():
            topic.filling = asyncio.create_task(self.fill(topic))

    async def fill(self, topic: Topic) -> None:
        """Bring the topic up to the database's last number, and drop numbers that the database never gets."""
        await asyncio.sleep(PATIENCE_SECONDS)
        questions, doubtful = 0, list[int]()
        while self.topics.get(topic.name) is topic:
            pause = PATIENCE_SECONDS * 2**questions
            if topic.checks:
                await asyncio.sleep(PATIENCE_SECONDS)
                continue
            try:
                since = topic.head
                if not questions:
                    doubtful = list(topic.early)
                batch = await self.replays.since(topic.name, since)
                if topic.head == since and batch.head > since and not topic.checks:
                    topic.head = batch.head
                    texts = [text for burst in batch.bursts for text in burst.texts]
                    self.fan_out(topic, since, [(batch.head, text) for text in texts])
                self.hand_out(topic)
                questions = 0 if batch.head > since else questions + 1
                if questions == MAX_QUESTIONS:
                    questions = 0
                    forget_unknown(topic, [seq for seq in doubtful if seq > batch.head])
                if not topic.early and topic.head >= batch.head:
                    return
            except NO_DATABASE as error:
                logger.warning("Could not replay %s, trying again: %s", topic.name, error)
                pause = 1.0
            except Exception:
                logger.exception("Could not replay %s; trying again", topic.name)
                pause = 1.0
            await asyncio.sleep(pause)


def forget_unknown(topic: Topic, numbers: list[int]) -> None:
    """Drop changes that were announced but are not stored. Changes are only announced after they are stored."""
    for seq in numbers:
        topic.early.pop(seq, None)
        unknown.warning("%s has no change %d, which was told", topic.name, seq)

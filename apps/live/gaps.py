"""Fill gaps in a feed's numbers from the database, and drop numbers that were announced but never stored."""

import asyncio
import logging
from collections.abc import Callable

from apps.core.database import NO_DATABASE
from apps.core.trouble import Seldom
from apps.live.feeds import Feed
from apps.live.frames import Frame
from apps.live.replay_cache import ReplayCache

logger = logging.getLogger(__name__)
unknown = Seldom(logger)

# How long a number may be missing before the database is queried: posts of two processes often cross in the layer.
PATIENCE_SECONDS = 0.05
# Queries, with exponential backoff, before numbers that the database does not have are dropped.
MAX_QUESTIONS = 5


# Writes numbered frames to the feed's listeners; the second argument is the number that the frames follow.
FanOut = Callable[[Feed, int, list[tuple[int, Frame]]], None]


class Gaps:
    """The gaps in `feeds`. Changes found are sent with `fan_out`; those that arrived early follow by `hand_out`."""

    def __init__(
        self, feeds: dict[str, Feed], replays: ReplayCache, *, fan_out: FanOut, hand_out: Callable[[Feed], None]
    ) -> None:
        self.feeds = feeds
        self.replays = replays
        self.fan_out = fan_out
        self.hand_out = hand_out

    def fill_soon(self, feed: Feed, *, patience: float | None = None) -> None:
        """Query the database for missing numbers, unless they arrive within `patience` seconds."""
        if feed.filling is None or feed.filling.done():
            feed.filling = asyncio.create_task(self.fill(feed, PATIENCE_SECONDS if patience is None else patience))

    async def fill(self, feed: Feed, patience: float) -> None:
        """Bring the feed up to the database's last number, and drop numbers that the database never gets."""
        await asyncio.sleep(patience)
        questions, doubtful = 0, list[int]()
        while self.feeds.get(feed.name) is feed:
            pause = PATIENCE_SECONDS * 2**questions
            if feed.checks:
                await asyncio.sleep(PATIENCE_SECONDS)
                continue
            try:
                since = feed.head
                if not questions:
                    doubtful = [*feed.early, feed.announced]
                replay = await self.replays.since(feed, since)
                if feed.head == since and replay.head > since and not feed.checks:
                    feed.head = replay.head
                    frames = [frame for burst in replay.bursts for frame in burst.frames]
                    self.fan_out(feed, since, [(replay.head, frame) for frame in frames])
                self.hand_out(feed)
                questions = 0 if replay.head > since else questions + 1
                if questions == MAX_QUESTIONS:
                    questions = 0
                    forget_unknown(feed, [seq for seq in doubtful if seq > replay.head])
                if not feed.early and feed.head >= max(replay.head, feed.announced):
                    return
                if replay.head > since and not feed.early:
                    pause = 0  # announced while the database was queried
            except NO_DATABASE as error:
                logger.warning("Could not replay %s, trying again: %s", feed.name, error)
                pause = 1.0
            except Exception:
                logger.exception("Could not replay %s; trying again", feed.name)
                pause = 1.0
            await asyncio.sleep(pause)


def forget_unknown(feed: Feed, numbers: list[int]) -> None:
    """Drop changes that were announced but are not stored. Changes are only announced after they are stored."""
    for seq in numbers:
        feed.early.pop(seq, None)
        if seq == feed.announced:
            feed.announced = 0
        unknown.warning("%s has no change %d, which was told", feed.name, seq)

"""News: which topics changed and whose places in them, gathered and passed on to all processes once a second."""

import asyncio
from collections.abc import Callable
from typing import Any

NEWS_PAUSE_SECONDS = 1.0

# Called with the topics that changed, and the ids of the users whose places did.
NewsReader = Callable[[list[str], list[int]], None]


class News:
    """What is passed on with the next message. Call everything on the process's event loop."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self.tell = tell
        self.topics: set[str] = set()
        self.people: set[int] = set()
        self.telling: asyncio.Handle | None = None

    def note(self, *, topic: str | None = None, user_id: int | None = None) -> None:
        """Pass on that a topic changed, or the places of a user in their topics."""
        if topic is not None:
            self.topics.add(topic)
        if user_id is not None:
            self.people.add(user_id)
        if self.telling is None:
            self.telling = asyncio.get_running_loop().call_later(NEWS_PAUSE_SECONDS, self.pass_on)

    def pass_on(self) -> None:
        """Tell all processes what has been gathered."""
        message = news_of(self.topics, self.people)
        self.topics, self.people, self.telling = set(), set(), None
        self.tell(message)


def news_of(topics: set[str], people: set[int]) -> dict[str, Any]:
    """Return the message that tells processes which topics and whose places changed."""
    return {"type": "live.news", "topics": sorted(topics), "people": sorted(people)}

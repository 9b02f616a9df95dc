"""Sources: what the hub asks about its topics, namely missed changes, last numbers, and who may listen."""

from dataclasses import dataclass
from typing import Protocol

from apps.live.frames import Burst, numbered
from apps.live.parts import Parts

# Replaces the number of a page that was sent changes which no longer exist.
FROM_SCRATCH = -1


@dataclass(frozen=True)
class Batch:
    """
    Everything that changed after number `since`: what to show, and the number it brings the page to.

    Split into pieces, so that no frame exceeds what may be queued for a slow client. With an epoch it replaces
    everything the page has.
    """

    since: int
    head: int
    pieces: tuple[Parts, ...] = ()
    epoch: str | None = None

    def bursts(self, topic: str) -> list[Burst]:
        """Return one burst per piece. Only the last sets the page to `head`: cut off before, it asks for all again."""
        *pieces, last = self.pieces or ((),)
        frames = [numbered(topic, piece, after=self.since, seq=self.since) for piece in pieces]
        frames.append(numbered(topic, last, after=self.since, seq=self.head, epoch=self.epoch))
        return [Burst([frame]) for frame in frames]


class Source(Protocol):
    """Answers the hub's queries about feeds of one kind of topic, named `kind.<anything>.<language>`."""

    async def replay(self, feed: str, since: int) -> Batch:
        """Return everything that changed in a feed after number `since`; for FROM_SCRATCH, its current state."""

    async def heads(self, feeds: list[str]) -> dict[str, int]:
        """Return the last number of each feed whose topic still exists, in one query."""

    async def allowed(self, listening: dict[str, set[int | None]]) -> dict[str, set[int | None]]:
        """Return for each feed the listeners (None: anonymous) who may keep listening, in a query or two."""


def in_language(topic: str, language: str) -> str:
    """
    Return the name of a topic's feed in one language.

    The hub keeps each language apart, so all listeners of a feed get the same bytes.
    """
    return f"{topic}.{language}"


_sources: dict[str, Source] = {}


def register(kind: str, source: Source) -> None:
    """Register the source of topics named `kind.<anything>`."""
    _sources[kind] = source


def source_of(name: str) -> Source:
    """Return the source registered for the kind of a topic or a feed."""
    return _sources[name.partition(".")[0]]


def by_kind(feeds: list[str]) -> list[tuple[Source, list[str]]]:
    """Group feeds by their source."""
    grouped = [
        (source, [feed for feed in feeds if feed.partition(".")[0] == kind]) for kind, source in _sources.items()
    ]
    return [(source, names) for source, names in grouped if names]

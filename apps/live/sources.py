"""Sources: what the hub asks about its topics, namely missed changes, last numbers, and who may listen."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from apps.live.lines import Burst

# Replaces the number of a page that was sent changes which no longer exist.
ANEW = -1


@dataclass(frozen=True)
class Batch:
    """
    Everything that changed after number `since`: what to show, and the number it brings the page to.

    Split into pieces, so that no frame exceeds what may be queued for a slow client. With an epoch it replaces
    everything the page has.
    """

    since: int
    head: int
    pieces: tuple[str, ...] = ()
    epoch: str | None = None

    @cached_property
    def bursts(self) -> list[Burst]:
        """One burst per piece. Only the last sets the page to `head`: disconnected earlier, it asks for all again."""
        *parts, last = self.pieces or ("",)
        bursts = [Burst([frame(after=self.since, seq=self.since, html=html)]) for html in parts]
        return [*bursts, Burst([frame(after=self.since, seq=self.head, html=last, epoch=self.epoch)])]


def frame(*, after: int, seq: int, html: str, epoch: str | None = None) -> str:
    """
    Return a frame that takes a page from number `after` to number `seq`.

    With an epoch it applies whatever number the page has reached, even if that is higher.
    """
    anew = "" if epoch is None else f' epoch="{epoch}"'
    # The leading tag keeps a frame from being parsed as the JSON envelope of htmx's extension.
    return f'<hx-seq after="{after}" value="{seq}"{anew}></hx-seq>{html}'


class Source(Protocol):
    """Answers the hub's queries about topics of one kind, named `kind.<anything>.<language>`."""

    async def replay(self, topic: str, since: int) -> Batch:
        """Return everything that changed in a topic after number `since`; for ANEW, its current state."""

    async def heads(self, topics: list[str]) -> dict[str, int]:
        """Return the last number of each topic that still exists, in one query."""

    async def allowed(self, listening: dict[str, set[int | None]]) -> dict[str, set[int | None]]:
        """Return for each topic the listeners (None: anonymous) who may keep listening, in a query or two."""


def in_language(topic: str, language: str) -> str:
    """
    Return the name of a topic in one language.

    For the hub each language is a topic of its own, so all its listeners get the same bytes.
    """
    return f"{topic}.{language}"


_sources: dict[str, Source] = {}


def register(kind: str, source: Source) -> None:
    """Register the source of topics named `kind.<anything>`."""
    _sources[kind] = source


def source_of(topic: str) -> Source:
    """Return the source registered for a topic's kind."""
    return _sources[topic.partition(".")[0]]


def by_kind(topics: list[str]) -> list[tuple[Source, list[str]]]:
    """Group topics by their source."""
    grouped = [
        (source, [topic for topic in topics if topic.partition(".")[0] == kind]) for kind, source in _sources.items()
    ]
    return [(source, names) for source, names in grouped if names]

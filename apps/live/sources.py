"""What the hub asks of those who know about its topics: what was missed, how far a topic is, who may listen."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from apps.live.lines import Burst

# In place of the number at which a page stands that was told of changes which there are no more.
ANEW = -1


@dataclass(frozen=True)
class Batch:
    """
    All that changed after number `since`: what to show, and the number it brings the reader to.

    In pieces, so that no frame is larger than a slow client can be left with. With an epoch it takes the place of all
    that the page has and was told.
    """

    since: int
    head: int
    pieces: tuple[str, ...] = ()
    epoch: str | None = None

    @cached_property
    def bursts(self) -> list[Burst]:
        """One for each piece. Only the last brings the page to `head`: cut before that, it asks for all again."""
        *parts, last = self.pieces or ("",)
        bursts = [Burst([frame(after=self.since, seq=self.since, html=html)]) for html in parts]
        return [*bursts, Burst([frame(after=self.since, seq=self.head, html=last, epoch=self.epoch)])]


def frame(*, after: int, seq: int, html: str, epoch: str | None = None) -> str:
    """
    A frame for the page: it takes a page that stands at number `after` to number `seq`.

    With an epoch it does so wherever the page stands, if need be back.
    """
    anew = "" if epoch is None else f' epoch="{epoch}"'
    # It begins with a tag of ours, so that no frame can be taken for the JSON envelope of htmx's extension.
    return f'<hx-seq after="{after}" value="{seq}"{anew}></hx-seq>{html}'


class Source(Protocol):
    """Who knows about the topics of one kind, named `kind.<anything>.<language>`."""

    async def replay(self, topic: str, since: int) -> Batch:
        """All that changed in the topic after number `since`; with ANEW, what a page shows that forgets all it knew."""

    async def heads(self, topics: list[str]) -> dict[str, int]:
        """The last number of each of the topics that still exist, in one query."""

    async def allowed(self, listening: dict[str, set[int | None]]) -> dict[str, set[int | None]]:
        """For each topic those of its listeners (None: nobody signed in) who may go on, in a query or two."""


def in_language(topic: str, language: str) -> str:
    """
    The name of the stream that tells of a topic in a language.

    For the hub each is a topic of its own: what a page is sent is the same for all who read the same language.
    """
    return f"{topic}.{language}"


_sources: dict[str, Source] = {}


def register(kind: str, source: Source) -> None:
    """Say who knows about topics named `kind.<anything>`."""
    _sources[kind] = source


def source_of(topic: str) -> Source:
    """Who was registered for the topic's kind."""
    return _sources[topic.partition(".")[0]]


def by_kind(topics: list[str]) -> list[tuple[Source, list[str]]]:
    """The topics, grouped by who knows about them."""
    grouped = [
        (source, [topic for topic in topics if topic.partition(".")[0] == kind]) for kind, source in _sources.items()
    ]
    return [(source, names) for source, names in grouped if names]

"""Feeds: the last number sent of a topic in one language, and the listeners."""

import asyncio
from dataclasses import dataclass, field

from apps.live.frames import Frame
from apps.live.listeners import Listener
from apps.live.parts import Parts


@dataclass(eq=False, slots=True)
class Subscription:
    """A listener's place in a feed."""

    listener: Listener
    seen: int
    # Frames that arrived during the replay; None once the listener has caught up.
    backlog: list[tuple[int, Frame]] | None = None


@dataclass(eq=False)
class Feed:
    """A topic in one language, with listeners in this process. `head` is the last number sent to them."""

    topic: str
    language: str
    # Of both, `<topic>.<language>`.
    name: str
    head: int
    subscriptions: dict[Listener, Subscription] = field(default_factory=dict)
    early: dict[int, Parts] = field(default_factory=dict)
    # The highest number announced without a rendering in this language.
    announced: int = 0
    handing_out: asyncio.Handle | None = None
    rests_until: float = 0.0
    filling: asyncio.Task[None] | None = None
    # Access checks in progress; nothing is sent until they are done.
    checks: int = 0

"""Topics: the last number sent, and the listeners."""

import asyncio
from dataclasses import dataclass, field

from apps.live.listeners import Listener


@dataclass(eq=False, slots=True)
class Subscription:
    """A listener's place in a topic."""

    listener: Listener
    seen: int
    # Frames that arrived during the replay; None once the listener has caught up.
    backlog: list[tuple[int, str]] | None = None


@dataclass(eq=False)
class Topic:
    """A topic with listeners in this process. `head` is the last number sent to them."""

    name: str
    head: int
    subscriptions: dict[Listener, Subscription] = field(default_factory=dict)
    early: dict[int, str] = field(default_factory=dict)
    handing_out: asyncio.Handle | None = None
    rests_until: float = 0.0
    filling: asyncio.Task[None] | None = None
    # Access checks in progress; nothing is sent until they are done.
    checks: int = 0

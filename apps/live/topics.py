"""What the hub knows of a topic: how far it has come, and who listens."""

import asyncio
from dataclasses import dataclass, field

from apps.live.listeners import Listener


@dataclass(eq=False, slots=True)
class Subscription:
    """A listener's place in a topic."""

    listener: Listener
    seen: int
    # Frames that arrived while the replay was under way; None once it has caught up.
    backlog: list[tuple[int, str]] | None = None


@dataclass(eq=False)
class Topic:
    """A topic that somebody in this process listens to. `head` is the last number handed out."""

    name: str
    head: int
    subscriptions: dict[Listener, Subscription] = field(default_factory=dict)
    early: dict[int, str] = field(default_factory=dict)
    handing_out: asyncio.Handle | None = None
    rests_until: float = 0.0
    filling: asyncio.Task[None] | None = None
    # How many looks at who may still listen are under way; until they are done nobody is told anything.
    checks: int = 0

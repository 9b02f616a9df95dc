"""Parley's ASGI application, timing the hub's work for each frame; `/bench` returns the totals."""

import json
import time
from typing import Any

# First, since it loads the apps.
from config.asgi import application as parley

from apps.live.feeds import Feed  # isort: skip
from apps.live.frames import Frame  # isort: skip
from apps.live.hub import Hub  # isort: skip

spent = {"frames": 0, "seconds": 0.0}
fan_out = Hub.fan_out


def timed_fan_out(self: Hub, feed: Feed, after: int, frames: list[tuple[int, Frame]]) -> None:
    """Run and time `Hub.fan_out`."""
    listeners = len(feed.subscriptions)
    began = time.thread_time()
    fan_out(self, feed, after, frames)
    spent["seconds"] += time.thread_time() - began
    spent["frames"] += listeners * len(frames)


Hub.fan_out = timed_fan_out  # type: ignore[method-assign]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve `/bench`, and everything else as config.asgi does."""
    if scope["type"] == "http" and scope["path"] == "/bench":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(spent).encode()})
        return
    await parley(scope, receive, send)

"""Say that something changed. Call these when the change is committed, from synchronous code."""

import asyncio
import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from apps.live.hub import LAYER_PATIENCE, current_hub

logger = logging.getLogger(__name__)


def change(topic: str, seq: int, html: str) -> None:
    """Hand change `seq` to every page that listens to `topic`, in this process and the others. Never raises."""
    _tell({"type": "live.change", "topic": topic, "seq": seq, "html": html})


def revoke(topic: str, *, user_id: int | None, html: str) -> None:
    """End the pages that one person (or, with None, anybody) has open on `topic`, showing `html`. Never raises."""
    _tell({"type": "live.revoke", "topic": topic, "user_id": user_id, "html": html})


def check(topic: str, *, html: str) -> None:
    """End the pages of those who may no longer listen to `topic`, showing `html`. Never raises."""
    _tell({"type": "live.check", "topic": topic, "html": html})


def _tell(message: dict[str, Any]) -> None:
    try:
        async_to_sync(_tell_everyone)(message)
    except Exception:
        # What happened is stored, and pages find it by its number: a broadcast that fails only delays it.
        logger.exception("Could not broadcast to %s", message["topic"])


async def _tell_everyone(message: dict[str, Any]) -> None:
    # This process first, and not through the layer: its pages hear even when the layer is gone.
    await current_hub().handle(message)
    try:
        async with asyncio.timeout(LAYER_PATIENCE):
            await get_channel_layer().group_send(message["topic"], message)
    except Exception as error:
        logger.warning("The channel layer did not take a broadcast: %r", error)

"""Settings for a process whose channel layer loses one broadcast in ten."""

import random
from typing import Any

from apps.live.sealed import SealedLayer
from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS


class LossyLayer(SealedLayer):
    """At most once, and sometimes not at all."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if random.random() >= 0.1:
            await super().group_send(group, message)


CHANNEL_LAYERS["default"]["BACKEND"] = "tests.faults.lossy.LossyLayer"

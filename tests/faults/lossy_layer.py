"""A channel layer that loses one broadcast in ten."""

import random
from typing import Any

from apps.live.sealed import SealedLayer


class LossyLayer(SealedLayer):
    """Delivers at most once, and sometimes not at all."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if random.random() >= 0.1:
            await super().group_send(group, message)

"""The channel layer over Redis: what one process of a site tells the others, and nobody else can read or make up."""

import logging
import secrets
import time
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

from apps.core import limits
from apps.core.trouble import Seldom

logger = logging.getLogger(__name__)

# What this process said itself, and hears again.
ECHO = {"type": "live.echo"}
# What says nothing to this version.
NOTHING = {"type": "live.nothing"}
# Before each message, by which a process knows its own without opening them.
TAG_BYTES = 12
# How long what a message says of people holds, in seconds. Changes hold by their numbers.
FRESH = 60
# So many of them are known again when they come twice.
MOST_KNOWN = 1000
# What the messages are, and the types of what is in them; a newer version may say more.
SHAPES: dict[str, dict[str, tuple[type, ...]]] = {
    "live.change": {"topic": (str,), "seq": (int,), "html": (str,)},
    "live.revoke": {"topic": (str,), "user_id": (int, type(None)), "html": (str,)},
    "live.check": {"topic": (str,), "html": (str,)},
    "live.sign_out": {"session": (str,)},
    "live.check_user": {"user_id": (int,)},
    "live.look": {},
}


class SealedLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # Channels has no types
    """
    Messages are sealed with the site's key (by channels_redis: Fernet), and what comes is read with care.

    Whatever else is published on the site's channels is dropped, with a line in the log now and then.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tag = secrets.token_bytes(TAG_BYTES)
        self.known: dict[bytes, None] = {}
        self.dropped = Seldom(logger)

    def serialize(self, message: dict[str, Any]) -> bytes:
        """The message, sealed."""
        sealed: bytes = super().serialize(message)
        return self.tag + sealed

    def deserialize(self, data: object) -> dict[str, Any]:
        """What was said. Never raises, since that would cost the connection: what cannot be is NOTHING."""
        if not isinstance(data, bytes) or len(data) > limits.MAX_LAYER_BYTES:
            return self.nothing("is no message, or a larger one than there are")
        if data.startswith(self.tag):
            return ECHO
        sealed = data[TAG_BYTES:]
        try:
            message = super().deserialize(sealed)
        except Exception:
            return self.nothing("was not sealed with this site's key")
        if not is_sound(message):
            return self.nothing("is of a shape that this version does not know")
        if message["type"] != "live.change":
            if abs(time.time() - self._serializer.crypter.extract_timestamp(sealed)) > FRESH:
                return self.nothing("is old, or another process's clock is wrong")
            if sealed[-32:] in self.known:
                return self.nothing("came before")
            self.known[sealed[-32:]] = None
            if len(self.known) > MOST_KNOWN:
                del self.known[next(iter(self.known))]
        return dict(message)

    def nothing(self, reason: str) -> dict[str, Any]:
        self.dropped.warning("What came over Redis %s, and is dropped", reason)
        return NOTHING


def is_sound(message: object) -> bool:
    """Whether a message has what its kind must have."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    shape = SHAPES.get(message["type"])
    return shape is not None and all(type(message.get(name)) in types for name, types in shape.items())

"""The channel layer over Redis: what one process of a site tells the others, and nobody else can read or make up."""

import hmac
import logging
import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.core import limits
from apps.core.epoch import State
from apps.core.trouble import Seldom

logger = logging.getLogger(__name__)

# What this process said itself, and hears again.
ECHO = {"type": "live.echo"}
# What says nothing to this version.
NOTHING = {"type": "live.nothing"}
# Before each message: the process, which so knows its own without opening them, and a number of the message's own.
TAG_BYTES, NONCE_BYTES = 16, 12
HEAD_BYTES = TAG_BYTES + NONCE_BYTES
# Of so many processes the keys are kept.
MAX_PROCESSES = 64
# How long what a message says of people holds. Changes hold by their numbers, in one epoch.
FRESH_SECONDS = 60
# So many of them are known again when they come twice.
MAX_KNOWN_MESSAGES = 1000
# What the messages are, and the types of what is in them, in the order in which process.py's handlers take it; a newer
# version may say more.
SHAPES: dict[str, dict[str, tuple[type, ...]]] = {
    "live.change": {"topic": (str,), "seq": (int,), "html": (str,)},
    "live.revoke": {"topic": (str,), "user_id": (int, type(None)), "html": (str,)},
    "live.check": {"topic": (str,), "html": (str,)},
    "live.sign_out": {"session": (str,)},
    "live.check_user": {"user_id": (int,)},
    "live.look": {},
}


class SealedLayer(RedisPubSubChannelLayer):
    """
    Each process seals with a key of its own, made from the site's (AES-GCM, a tenth of Fernet's time, which
    must not use a number twice with one key), and what comes is read with care.

    Whatever else is published on the site's channels is dropped, with a line in the log now and then.
    """

    def __init__(self, *args: Any, key: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tag = secrets.token_bytes(TAG_BYTES)
        self.cipher_of: Callable[[bytes], AESGCM] = lru_cache(MAX_PROCESSES)(
            lambda tag: AESGCM(hmac.digest(key.encode(), tag, "sha256"))
        )
        self.known: dict[bytes, None] = {}
        self.dropped = Seldom(logger)

    def serialize(self, message: dict[str, Any]) -> bytes:
        """The message, sealed."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        text: bytes = super().serialize([int(time.time()), State.epoch, message])
        return self.tag + nonce + self.cipher_of(self.tag).encrypt(nonce, text, None)

    def deserialize(self, data: object) -> dict[str, Any]:
        """What was said. Never raises, since that would cost the connection: what cannot be is NOTHING."""
        if not isinstance(data, bytes) or len(data) > limits.MAX_LAYER_BYTES:
            return self.nothing("is no message, or a larger one than there are")
        if data.startswith(self.tag):
            return ECHO
        head, nonce = data[:HEAD_BYTES], data[TAG_BYTES:HEAD_BYTES]
        try:
            text = self.cipher_of(data[:TAG_BYTES]).decrypt(nonce, data[HEAD_BYTES:], None)
            said_at, epoch, message = super().deserialize(text)
        except Exception:
            return self.nothing("was not sealed with this site's key")
        if not isinstance(said_at, int) or not is_sound(message):
            return self.nothing("is of a shape that this version does not know")
        if message["type"] == "live.change":
            # Else what was recorded before a restore would be shown in place of what has its number now. Who has not
            # looked at the database yet takes it on trust.
            if State.epoch and epoch not in {"", State.epoch}:
                return self.nothing("is of another state of the database")
        else:
            if abs(time.time() - said_at) > FRESH_SECONDS:
                return self.nothing("is old, or another process's clock is wrong")
            if head in self.known:
                return self.nothing("came before")
            self.known[head] = None
            if len(self.known) > MAX_KNOWN_MESSAGES:
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

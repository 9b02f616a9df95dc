"""The channel layer over Redis: messages between a site's processes, encrypted and authenticated."""

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

# Stands for any message that this process sent itself and receives again.
ECHO = {"type": "live.echo"}
# Stands for any message that is dropped.
NOTHING = {"type": "live.nothing"}
# Each message starts with its process's tag, by which a process knows its own without decrypting, and a nonce.
TAG_BYTES, NONCE_BYTES = 16, 12
HEAD_BYTES = TAG_BYTES + NONCE_BYTES
# What encrypting adds to a message: the head, and AES-GCM's own tag.
EXTRA_BYTES = HEAD_BYTES + 16
# How many processes' keys are cached.
MAX_PROCESSES = 64
# How long messages other than changes are valid. Changes are valid by their numbers, within one epoch.
FRESH_SECONDS = 60
# How many messages other than changes are remembered, to reject replays.
MAX_KNOWN_MESSAGES = 1000
# The types of messages and of their fields, in the order of the arguments of process.py's handlers. A newer version
# may send more.
SHAPES: dict[str, dict[str, tuple[type, ...]]] = {
    "live.change": {"topic": (str,), "seq": (int,), "parts": (dict,)},
    "live.whisper": {"topic": (str,), "parts": (dict,)},
    "live.revoke": {"topic": (str,), "user_id": (int, type(None)), "parts": (dict,)},
    "live.check": {"topic": (str,), "parts": (dict,)},
    "live.sign_out": {"session": (str,)},
    "live.check_user": {"user_id": (int,)},
    "live.news": {"topics": (list,), "people": (list,)},
    "live.look": {},
}


class SealedLayer(RedisPubSubChannelLayer):
    """
    Each process encrypts with its own key, derived from the site's, since AES-GCM must not reuse a nonce with one
    key. AES-GCM takes a tenth of Fernet's time. Received messages are validated.

    Anything else published on the site's channels is dropped, and logged at most once a minute.
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
        """
        Encrypt a message.

        A change too large to be accepted, since it is long and read in many languages, goes without its renderings: the
        receivers read it from the database.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        text: bytes = super().serialize([int(time.time()), State.epoch, message])
        if len(text) > limits.MAX_LAYER_BYTES - EXTRA_BYTES and message["type"] == "live.change":
            text = super().serialize([int(time.time()), State.epoch, message | {"parts": {}}])
        return self.tag + nonce + self.cipher_of(self.tag).encrypt(nonce, text, None)

    def deserialize(self, data: object) -> dict[str, Any]:
        """Decrypt a message; NOTHING if it is invalid. Never raises, since that would drop the connection."""
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
            # A change replayed from before a restore would replace the one that has its number now. A process that
            # does not know its own epoch yet accepts any.
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
    """Return whether a message has the fields that its type requires."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    shape = SHAPES.get(message["type"])
    return shape is not None and all(type(message.get(name)) in types for name, types in shape.items())

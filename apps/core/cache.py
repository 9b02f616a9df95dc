"""Caches for counters: entries still in use can't be evicted, and values in Redis can't be forged."""

import logging
import secrets
import time
from base64 import b64decode, b64encode
from contextlib import suppress
from heapq import nsmallest
from math import inf
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.signing import BadSignature, JSONSerializer
from django.utils.crypto import salted_hmac
from redis import Redis
from redis.exceptions import ResponseError

from apps.core import limits
from apps.core.redis_link import AwayError, link_to
from apps.core.trouble import Seldom

logger = logging.getLogger(__name__)

# Sentinel for a cache miss.
MISSING = object()
# Epoch of a value that was never written to Redis.
NEVER = -1
# Length of the random nonce in front of each value in Redis.
NONCE_BYTES = 12


class CountingCache(LocMemCache):
    """
    Django's in-memory cache, evicting expired entries first, then those that expire soonest.

    Django's own holds 300 entries, then drops a third of them: a few hundred cheap requests would reset the counts of
    wrong passwords. To evict a count here, an attacker must fill the cache with entries that last longer.
    """

    # Set by LocMemCache: values and expiry times by key; None means no expiry.
    _cache: dict[str, bytes]
    _expire_info: dict[str, float | None]

    def _cull(self) -> None:
        """Make room for several entries at once, since each cull scans all of them."""
        now = time.time()
        for key in [key for key, expires in self._expire_info.items() if expires is not None and expires <= now]:
            self._drop(key)
        if (surplus := len(self._cache) - self._max_entries * 9 // 10) > 0:
            for key in nsmallest(surplus, self._expire_info, key=self._expires):
                self._drop(key)

    def _expires(self, key: str) -> float:
        expires = self._expire_info[key]
        return inf if expires is None else expires

    def _drop(self, key: str) -> None:
        del self._cache[key]
        del self._expire_info[key]


class SharedCache(BaseCache):
    """
    Counters shared by all processes through Redis; each process keeps a copy of what it wrote.

    While Redis is down, each process keeps counting in its copy: people can sign in, and an attacker gets at most the
    limit once per process. Values that Redis never got, or may have lost, are merged with what it has on the next
    read, so nothing is forgotten when it returns.

    Keys are hashed, and values (JSON) encrypted per key with the site's secret: anyone else with access to Redis can
    delete a counter or replay an old one, but neither forge nor read it. Codes just mailed are among the values.
    """

    unreadable = Seldom(logger)

    def __init__(self, url: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.link = link_to(url, self.key_prefix)
        self.own = CountingCache(
            f"copy {url} {self.key_prefix}", {"OPTIONS": {"MAX_ENTRIES": limits.MAX_CACHE_ENTRIES}}
        )

    def make_key(self, key: str, version: int | None = None) -> str:
        """Return the name in Redis, hashed because keys contain users' addresses."""
        text = f"{self.version if version is None else version}:{key}"
        return self.key_prefix + salted_hmac("apps.core.cache.names", text, algorithm="sha256").hexdigest()[:40]

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        name = self.make_key(key, version)
        found = self.kept(name)
        return default if found is MISSING else found

    def set(
        self, key: str, value: Any, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        name, seconds = self.make_key(key, version), self.seconds(timeout)
        if seconds is not None and seconds <= 0:
            self.delete(key, version)
            return
        sealed = sealed_for(name, value)
        try:
            self.link.call(lambda redis: redis.set(name, sealed, px=milliseconds(seconds)))
        except AwayError:
            self.own.set(name, (NEVER, value), seconds)
        else:
            self.own.set(name, (self.link.epoch, value), seconds)

    def add(
        self, key: str, value: Any, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        name, seconds = self.make_key(key, version), self.seconds(timeout)
        if self.unknown_to_redis(name) is not MISSING:
            return False
        sealed = sealed_for(name, value)
        try:
            is_new = bool(self.link.call(lambda redis: redis.set(name, sealed, px=milliseconds(seconds), nx=True)))
        except AwayError:
            return self.own.add(name, (NEVER, value), seconds)
        if is_new:
            self.own.set(name, (self.link.epoch, value), seconds)
        return is_new

    def touch(self, key: str, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        value = self.get(key, MISSING, version)
        if value is not MISSING:
            self.set(key, value, timeout, version)
        return value is not MISSING

    def delete(self, key: str, version: int | None = None) -> bool:
        name = self.make_key(key, version)
        was_here = self.own.delete(name)
        try:
            return bool(self.link.call(lambda redis: redis.delete(name)))
        except AwayError:
            self.link.delete_later(name)
            return was_here

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Not supported: Redis can't increment an encrypted value."""
        raise NotImplementedError("Keep a list of times, as django-allauth's rate limits do.")

    def clear(self) -> None:
        """Delete this site's entries, but not those of others in the same Redis."""
        self.own.clear()
        with suppress(AwayError):
            self.link.call(self.delete_all)

    def delete_all(self, redis: "Redis") -> None:
        for name in redis.scan_iter(match=f"{self.key_prefix}*", count=1000):
            redis.delete(name)

    def kept(self, name: str) -> Any:
        """Return the value kept in Redis merged with this process's copy."""
        try:
            there = opened_for(name, self.link.call(lambda redis: bytes_of(redis, name)))
        except AwayError:
            return self.own.get(name, (NEVER, MISSING))[1]
        except BadSignature as error:
            self.unreadable.warning("Redis holds something that this site did not put there: %s", error)
            there = MISSING
        return together(there, self.unknown_to_redis(name))

    def unknown_to_redis(self, name: str) -> Any:
        """Return this process's copy if Redis never got it or may have lost it."""
        epoch, value = self.own.get(name, (NEVER, MISSING))
        return MISSING if epoch == self.link.epoch else value

    def seconds(self, timeout: Any) -> float | None:
        """Return the lifetime in seconds; None means no expiry."""
        return self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, int(seconds * 1000))


def bytes_of(redis: "Redis", name: str) -> bytes | None:
    """Return what Redis has under the name. A value that is no string was not written by us."""
    try:
        found: Any = redis.get(name)
    except ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            return b""
        raise
    return found if found is None or isinstance(found, bytes) else str(found).encode()


def cipher_for(name: str) -> AESGCM:
    """Return a cipher with a key of its own for each name, so nonces only need to be unique per name."""
    return AESGCM(salted_hmac("apps.core.cache", name, algorithm="sha256").digest())


def sealed_for(name: str, value: Any) -> bytes:
    """Return the value as JSON, encrypted for this name. Raises TypeError if it is not serialisable."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return b64encode(nonce + cipher_for(name).encrypt(nonce, JSONSerializer().dumps(value), None))


def opened_for(name: str, sealed: bytes | None) -> Any:
    """Decrypt what `sealed_for` returned. Raises BadSignature."""
    if sealed is None:
        return MISSING
    try:
        data = b64decode(sealed, validate=True)
        text = cipher_for(name).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], None)
    except (ValueError, InvalidTag):
        raise BadSignature("it was not sealed with this site's key") from None
    return JSONSerializer().loads(text)


def together(there: Any, here: Any) -> Any:
    """Merge Redis's value with this process's own; lists of attempt times are combined, newest first."""
    if here is MISSING or there is MISSING:
        return there if here is MISSING else here
    if all(isinstance(value, list) and all(isinstance(time, float) for time in value) for value in (there, here)):
        return sorted({*there, *here}, reverse=True)
    return there


def look() -> None:
    """Check whether Redis is available for shared counters; the log and /readyz report it."""
    cache: object = caches["default"]
    if isinstance(cache, SharedCache):
        cache.link.look()

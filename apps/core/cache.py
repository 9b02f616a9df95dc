"""The caches. They keep counts, so nothing that is still needed may be washed out, and nobody else's word is taken."""

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

# What a cache has not.
MISSING = object()
# In place of an epoch: Redis has never had this value.
NEVER = -1
# Before each value in Redis: a number of its own.
NONCE_BYTES = 12


class CountingCache(LocMemCache):
    """
    Django's cache in memory, which when full lets go of what has expired, then of what expires first.

    Django's own holds 300 entries and then drops a third: a few hundred cheap requests empty the counts of wrong
    passwords. Here whoever wants to wash out a count must fill the cache with what lasts longer.
    """

    # Put there by LocMemCache: by key, the value and when it expires, None for never.
    _cache: dict[str, bytes]
    _expire_info: dict[str, float | None]

    def _cull(self) -> None:
        """Make room for more than one, since all entries are looked at."""
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
    Counts that all processes of a site share, in Redis; each process has a copy of what it wrote.

    While Redis is away each counts on in its copy, so that people can sign in and nobody gets more than one process
    times the limit from each. What Redis has never had, or may have lost, is put together with what it has
    when it is next asked for: coming back forgets nothing.

    Names are hidden and values sealed, each for its name, with the site's key: whoever else can reach Redis can delete
    a count or bring back an old one, but neither make one up nor read it. A code that was just mailed is among them.
    Values are JSON.
    """

    unreadable = Seldom(logger)

    def __init__(self, url: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.link = link_to(url, self.key_prefix)
        self.own = CountingCache(
            f"copy {url} {self.key_prefix}", {"OPTIONS": {"MAX_ENTRIES": limits.MAX_CACHE_ENTRIES}}
        )

    def make_key(self, key: str, version: int | None = None) -> str:
        """The name in Redis, which tells nothing: keys have addresses of people in them."""
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
        """Not here: what is counted would have to be signed by Redis."""
        raise NotImplementedError("Keep a list of times, as django-allauth's rate limits do.")

    def clear(self) -> None:
        """Forget what this site keeps, and nothing of others that use the same Redis."""
        self.own.clear()
        with suppress(AwayError):
            self.link.call(self.delete_all)

    def delete_all(self, redis: "Redis") -> None:
        for name in redis.scan_iter(match=f"{self.key_prefix}*", count=1000):
            redis.delete(name)

    def kept(self, name: str) -> Any:
        """What Redis and this process have kept, as one value."""
        try:
            there = opened_for(name, self.link.call(lambda redis: bytes_of(redis, name)))
        except AwayError:
            return self.own.get(name, (NEVER, MISSING))[1]
        except BadSignature as error:
            self.unreadable.warning("Redis holds something that this site did not put there: %s", error)
            there = MISSING
        return together(there, self.unknown_to_redis(name))

    def unknown_to_redis(self, name: str) -> Any:
        """What this process has kept, where Redis has never had it or may have lost it."""
        epoch, value = self.own.get(name, (NEVER, MISSING))
        return MISSING if epoch == self.link.epoch else value

    def seconds(self, timeout: Any) -> float | None:
        """How long to keep something; None for ever."""
        return self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, int(seconds * 1000))


def bytes_of(redis: "Redis", name: str) -> bytes | None:
    """What Redis has under the name. Something that is no text was put there by somebody else."""
    try:
        found: Any = redis.get(name)
    except ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            return b""
        raise
    return found if found is None or isinstance(found, bytes) else str(found).encode()


def cipher_for(name: str) -> AESGCM:
    """A key of the name's own: a number may come twice for two of them."""
    return AESGCM(salted_hmac("apps.core.cache", name, algorithm="sha256").digest())


def sealed_for(name: str, value: Any) -> bytes:
    """The value as JSON, sealed for this name. Raises TypeError for what is no JSON."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return b64encode(nonce + cipher_for(name).encrypt(nonce, JSONSerializer().dumps(value), None))


def opened_for(name: str, sealed: bytes | None) -> Any:
    """What `sealed_for` was given. Raises BadSignature."""
    if sealed is None:
        return MISSING
    try:
        data = b64decode(sealed, validate=True)
        text = cipher_for(name).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], None)
    except (ValueError, InvalidTag):
        raise BadSignature("it was not sealed with this site's key") from None
    return JSONSerializer().loads(text)


def together(there: Any, here: Any) -> Any:
    """Redis's value and this process's own as one: times of what was tried are taken from both, the newest first."""
    if here is MISSING or there is MISSING:
        return there if here is MISSING else here
    if all(isinstance(value, list) and all(isinstance(time, float) for time in value) for value in (there, here)):
        return sorted({*there, *here}, reverse=True)
    return there


def look() -> None:
    """Find out whether the counts are kept where all processes share them; the log and /readyz say so."""
    cache: object = caches["default"]
    if isinstance(cache, SharedCache):
        cache.link.look()

"""A process's link to Redis for counters, with a circuit breaker, so that no request waits for a Redis that is down."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from apps.core.trouble import Trouble

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# Timeout of one call to Redis, and the duration from which a call counts as slow; this many slow calls in a row are too
# many, since a page makes twenty.
TIMEOUT_SECONDS, SLOW_SECONDS, MAX_SLOW_ANSWERS = 0.5, 0.1, 5
# Interval between checks whether Redis is back.
RETRY_SECONDS = 1.0
# Keys to delete when it is back; beyond that, those still in Redis stay until they expire.
MAX_DELETED_KEYS = 10_000


class AwayError(Exception):
    """Redis is unavailable."""


class Link:
    """
    A process's link to Redis. The breaker opens at a failed call, or several slow ones, and closes when one succeeds.

    While it is open, calls fail immediately. One thread checks whether Redis is back.
    """

    def __init__(self, url: str, probe: str) -> None:
        self.probe = probe
        # Incremented with each new connection and each failure: Redis may have been emptied in between.
        self.epoch = 0
        self.slow = 0
        self.deleted: set[str] = set()
        self.lock = threading.Lock()
        self.trouble = Trouble("degraded: redis keeps no counts, each process counts alone what people try", logger)
        self.redis = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self.greet,
        )

    def greet(self, connection: Any) -> None:
        """Do what the library does for a new connection, and start a new epoch."""
        connection.on_connect()
        self.epoch += 1

    def call(self, work: Callable[["Redis"], Result]) -> Result:
        """Return Redis's reply. Raises AwayError."""
        if self.trouble.is_on:
            raise AwayError
        began = time.monotonic()
        try:
            result = work(self.redis)
        except (RedisError, OSError) as error:
            self.lose(error)
            raise AwayError from error
        self.slow = self.slow + 1 if time.monotonic() - began > SLOW_SECONDS else 0
        if self.slow >= MAX_SLOW_ANSWERS:
            self.lose(f"{self.slow} answers in a row took more than {SLOW_SECONDS} s")
        return result

    def lose(self, error: object) -> None:
        """Stop calling Redis until it is seen to be back."""
        with self.lock:
            if self.trouble.is_on:
                return
            self.epoch += 1
            self.slow = 0
            self.trouble.note(error)
        threading.Thread(target=self.wait_until_back, name="redis", daemon=True).start()

    def wait_until_back(self) -> None:
        """Check repeatedly."""
        while True:
            time.sleep(RETRY_SECONDS)
            began = time.monotonic()
            try:
                self.try_out(self.redis)
                for name in list(self.deleted):
                    self.redis.delete(name)
                    self.deleted.discard(name)
            except (RedisError, OSError) as error:
                self.trouble.note(error)
                continue
            if time.monotonic() - began <= SLOW_SECONDS:
                self.trouble.over()
                return

    def delete_later(self, name: str) -> None:
        """Delete the key when Redis is back: a call that timed out may still have taken effect."""
        if len(self.deleted) < MAX_DELETED_KEYS:
            self.deleted.add(name)

    def look(self) -> None:
        """Check whether Redis accepts writes."""
        with suppress(AwayError):
            self.call(self.try_out)

    def try_out(self, redis: "Redis") -> None:
        """Write first: a full Redis, or one without write permission, still answers reads."""
        redis.set(self.probe, "", ex=60)
        redis.get(self.probe)


_links: dict[tuple[str, str], Link] = {}
_links_lock = threading.Lock()


def link_to(url: str, prefix: str) -> Link:
    """Return this process's only link to a Redis: Django creates a cache object per request."""
    with _links_lock:
        return _links.get((url, prefix)) or _links.setdefault((url, prefix), Link(url, f"{prefix}probe"))

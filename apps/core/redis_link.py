"""A process's way to Redis, for what counts: shut while Redis does not answer, so that nobody waits for it."""

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

# How long one call to Redis may take, and how long one may that counts as slow; so many slow ones in a row are too
# many, since a page makes twenty calls.
TIMEOUT_SECONDS, SLOW_SECONDS, MAX_SLOW_ANSWERS = 0.5, 0.1, 5
# Between two looks whether Redis is back.
RETRY_SECONDS = 1.0
# Entries to be deleted then; of more, those that Redis still has live on until they expire.
MAX_DELETED_KEYS = 10_000


class AwayError(Exception):
    """Redis does not do what it is asked."""


class Link:
    """
    A process's way to Redis, which is shut from the first call that fails or takes too long until one succeeds.

    Whoever calls meanwhile does not wait. One thread looks whether it is back.
    """

    def __init__(self, url: str, probe: str) -> None:
        self.probe = probe
        # Grows with each connection that is made and each failure: Redis may have been emptied in between.
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
        """What the library does by itself with a new connection, and a new epoch."""
        connection.on_connect()
        self.epoch += 1

    def call(self, work: Callable[["Redis"], Result]) -> Result:
        """What Redis answers. Raises AwayError."""
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
        """Shut the way, until Redis is seen to be back."""
        with self.lock:
            if self.trouble.is_on:
                return
            self.epoch += 1
            self.slow = 0
            self.trouble.note(error)
        threading.Thread(target=self.wait_until_back, name="redis", daemon=True).start()

    def wait_until_back(self) -> None:
        """Look again and again."""
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
        """Have it deleted when Redis is back: what was asked without an answer may have been done."""
        if len(self.deleted) < MAX_DELETED_KEYS:
            self.deleted.add(name)

    def look(self) -> None:
        """Find out whether Redis takes what it is given."""
        with suppress(AwayError):
            self.call(self.try_out)

    def try_out(self, redis: "Redis") -> None:
        """Writing is what fails first: in a full Redis, and without the right to."""
        redis.set(self.probe, "", ex=60)
        redis.get(self.probe)


_links: dict[tuple[str, str], Link] = {}
_links_lock = threading.Lock()


def link_to(url: str, prefix: str) -> Link:
    """This process's one way to a Redis: Django makes a cache for each request."""
    with _links_lock:
        return _links.get((url, prefix)) or _links.setdefault((url, prefix), Link(url, f"{prefix}probe"))

"""The cache of a site that has no Redis: it keeps counts, so nothing that is still needed may be washed out of it."""

import time
from heapq import nsmallest
from math import inf

from django.core.cache.backends.locmem import LocMemCache


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

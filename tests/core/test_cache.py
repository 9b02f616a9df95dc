"""The cache for rate limits without Redis: attackers cannot flush its counts."""

import pytest
from django.core.cache import cache
from django.test import Client

from apps.core import limits
from apps.core.cache import CountingCache
from tests.conftest import PASSWORD, sign_up


@pytest.fixture
def small() -> CountingCache:
    """A cache of ten entries."""
    one = CountingCache("a small one", {"OPTIONS": {"MAX_ENTRIES": 10}})
    one.clear()
    return one


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr("apps.core.cache.time.time", lambda: now[0])
    return now


def test_expired_entries_are_evicted_before_live_ones(small: CountingCache, clock: list[float]) -> None:
    for number in range(8):
        small.set(f"over-{number}", 1, 10)
    small.set("soon", 1, 100)
    small.set("late", 1, 1000)
    clock[0] += 50
    small.set("new", 1, 1000)
    assert [key for key in ("soon", "late", "new") if small.get(key)] == ["soon", "late", "new"]
    assert len(small._cache) == 3


def test_of_live_entries_the_first_to_expire_is_evicted_however_often_used(small: CountingCache) -> None:
    small.set("never", 1, None)
    small.set("hour", 1, 3600)
    for number in range(100):
        small.set(f"minutes-{number}", 1, 600)
        small.get(f"minutes-{number}")
    assert small.get("never")
    assert small.get("hour")


def test_it_never_exceeds_its_maximum_size(small: CountingCache) -> None:
    for number in range(1000):
        small.set(str(number), number, 600)
    assert len(small._cache) == len(small._expire_info) <= 10


def test_the_site_uses_it() -> None:
    assert limits.MAX_CACHE_ENTRIES >= 100_000
    cache.set("counted", 1)
    kept = CountingCache("", {"OPTIONS": {"MAX_ENTRIES": limits.MAX_CACHE_ENTRIES}})
    assert kept.get("counted") == 1


@pytest.mark.django_db
def test_cheap_requests_from_many_addresses_evict_no_counts() -> None:
    sign_up("ada")
    for number in range(5):
        Client().post("/accounts/login/", {"login": "ada", "password": f"wrong {number}"})
    for number in range(205):
        client = Client(REMOTE_ADDR=f"10.0.1.{number}")
        client.post("/accounts/login/", {})
        client.post("/accounts/signup/", {})
    answer = Client(REMOTE_ADDR="10.0.9.1").post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert "Too many failed" in answer.content.decode()

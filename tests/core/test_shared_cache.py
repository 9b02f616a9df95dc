"""Counts in Redis: shared by all processes, kept by each alone during an outage, and safe from forgery."""

import json
import pickle
import signal
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory, override_settings
from pytest_django import Settings
from redis import Redis as Connection

from apps.core import limits, redis_link, trouble
from apps.core.cache import SharedCache
from apps.core.limited import seconds_to_wait, take
from config import environment
from tests import install
from tests.conftest import PASSWORD, make_user, sign_up
from tests.servers import Redis

PREFIX = "parley.one."


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    if not install.redis_server():
        pytest.skip("Redis is not installed")
    with Redis() as server:
        yield server


@pytest.fixture
def redis(server: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Redis, empty and working, and retried quickly."""
    monkeypatch.setattr(redis_link, "RETRY_SECONDS", 0.02)
    # Troubles caused by other tests don't matter here.
    monkeypatch.setattr(trouble, "_known", [])
    yield server
    if server.process.poll() is not None:
        server.start()
    server.process.send_signal(signal.SIGCONT)
    with direct(server) as connection:
        connection.config_set("maxmemory", "0")
        connection.execute_command("ACL", "SETUSER", "default", "+set")
        connection.flushall()
    until(lambda: not trouble.all_troubles())
    for link in redis_link._links.values():
        link.redis.close()
    redis_link._links.clear()


def direct(server: Redis) -> Connection:
    """A connection as of someone who can reach Redis but does not know the site's key."""
    return Connection.from_url(server.url)


def process(server: Redis, number: int = 1, prefix: str = PREFIX) -> SharedCache:
    """The cache of one process of the site; each number is a process."""
    return SharedCache(f"{server.url}?client_name=process-{number}", {"KEY_PREFIX": prefix})


@pytest.fixture
def two(redis: Redis) -> Iterator[tuple[SharedCache, SharedCache]]:
    pair = process(redis), process(redis, 2)
    yield pair
    for one in pair:
        one.own.clear()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def break_by(how: str, server: Redis) -> None:
    """Cause a fault in Redis."""
    if how == "killed":
        server.stop(signal.SIGKILL)
    elif how == "paused":
        server.process.send_signal(signal.SIGSTOP)
    else:
        with direct(server) as connection:
            if how == "full":
                connection.config_set("maxmemory", "1")
            else:
                connection.execute_command("ACL", "SETUSER", "default", "-set")


def mend(how: str, server: Redis) -> None:
    """End the fault."""
    if how == "killed":
        server.start()
    elif how == "paused":
        server.process.send_signal(signal.SIGCONT)
    else:
        with direct(server) as connection:
            connection.config_set("maxmemory", "0")
            connection.execute_command("ACL", "SETUSER", "default", "+set")


FAULTS = ["killed", "paused", "full", "refused"]
Pair = tuple[SharedCache, SharedCache]


def test_all_processes_share_the_entries(two: Pair) -> None:
    one, other = two
    one.set("tries", [2.5, 1.25], 60)
    assert other.get("tries") == [2.5, 1.25]
    assert not other.add("tries", [], 60)
    assert other.delete("tries")
    assert one.get("tries", "none") == "none"


def test_entries_expire(two: Pair) -> None:
    one, other = two
    one.set("soon", "x", 0.05)
    assert other.get("soon") == "x"
    until(lambda: other.get("soon") is None and one.get("soon") is None)
    one.set("now", "x", 60)
    one.set("now", "x", 0)
    assert other.get("now") is None


def test_an_entrys_expiry_can_be_extended(two: Pair) -> None:
    one, other = two
    one.set("soon", "x", 0.2)
    assert other.touch("soon", 60)
    time.sleep(0.3)
    assert one.get("soon") == "x"
    assert not one.touch("nothing", 60)


def test_two_sites_on_one_redis_share_no_entries(redis: Redis) -> None:
    here, there = process(redis), process(redis, prefix="parley.two.")
    here.set("tries", [1.0], 60)
    assert there.get("tries") is None
    assert there.add("tries", [], 60)
    there.clear()
    assert here.get("tries") == [1.0]


def test_clearing_leaves_other_sites_entries(two: Pair, redis: Redis) -> None:
    with direct(redis) as connection:
        connection.set("somebody's", "own")
        two[0].set("tries", [1.0], 60)
        two[0].clear()
        assert [name for name in connection.keys("*") if b"probe" not in name] == [b"somebody's"]


def test_redis_contains_no_pickles_and_no_plain_names(two: Pair, redis: Redis) -> None:
    two[0].set("allauth:rl:ip:10.1.2.3", [1.5], 60)
    with direct(redis) as connection:
        held = {name: connection.get(name) for name in connection.keys("*")}
    assert len(held) == 1
    [(name, value)] = held.items()
    assert name.startswith(b"parley.one.")
    assert b"10.1.2.3" not in name + value
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(value)


def test_redis_does_not_reveal_a_code_that_was_just_mailed(two: Pair, redis: Redis) -> None:
    two[0].set("sign_up", "ABCD-EFGH", 30)
    assert two[1].get("sign_up") == "ABCD-EFGH"
    with direct(redis) as connection:
        held = connection.get(two[0].make_key("sign_up"))
    parts = [held, *(urlsafe_b64decode(part + b"===") for part in held.split(b":"))]
    assert not any(b"ABCD" in part for part in parts)


class Opened:
    """Records whether a forged pickle was loaded."""

    by: list[str] = []

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Opened.by.append, ("the cache",)


@pytest.mark.parametrize(
    "forged",
    [pickle.dumps(Opened()), b"5", b"", b"[]", b"\xff\xfe", json.dumps([1.0]).encode(), b"W10:forged"],
    ids=str,
)
def test_a_forged_entry_is_ignored(two: Pair, redis: Redis, forged: bytes) -> None:
    one, other = two
    one.set("tries", [1.0], 60)
    with direct(redis) as connection:
        connection.set(one.make_key("tries"), forged)
    assert other.get("tries", "nothing") == "nothing"
    assert not Opened.by
    other.set("tries", [2.0], 60)
    assert one.get("tries") == [2.0]


def test_an_entry_of_another_redis_type_is_ignored_without_disconnecting(two: Pair, redis: Redis) -> None:
    with direct(redis) as connection:
        connection.lpush(two[0].make_key("tries"), "1")
    assert two[0].get("tries") is None
    two[0].set("tries", [1.0], 60)
    assert two[1].get("tries") == [1.0]
    assert not trouble.all_troubles()


def test_a_value_is_valid_only_under_its_own_name(two: Pair, redis: Redis) -> None:
    one, _ = two
    one.set("mine", [], 60)
    with direct(redis) as connection:
        connection.set(one.make_key("theirs"), connection.get(one.make_key("mine")) or b"")
    assert one.get("theirs", "nothing") == "nothing"


def test_an_entry_sealed_with_another_key_is_ignored(two: Pair, redis: Redis, settings: Settings) -> None:
    two[0].set("tries", [1.0], 60)
    with direct(redis) as connection:
        sealed = connection.get(two[0].make_key("tries"))
        settings.SECRET_KEY = "another"
        connection.set(two[0].make_key("tries"), sealed or b"")
    assert two[1].get("tries") is None


@pytest.mark.parametrize("how", FAULTS)
def test_while_redis_is_down_each_process_keeps_counting(two: Pair, redis: Redis, how: str) -> None:
    one, other = two
    one.set("tries", [1.0], 60)
    break_by(how, redis)
    one.set("tries", [2.0, 1.0], 60)
    assert one.get("tries") == [2.0, 1.0]
    assert one.add("new", "x", 60)
    assert not one.add("new", "x", 60)
    assert trouble.all_troubles() == ["degraded: redis keeps no counts, each process counts alone what people try"]
    other.set("tries", [3.0, 1.0], 60)
    mend(how, redis)
    until(lambda: not trouble.all_troubles())
    # Each has what it counted itself and what is in Redis.
    assert set(one.get("tries")) >= {1.0, 2.0}
    one.set("tries", one.get("tries"), 60)
    assert other.get("tries") == [3.0, 2.0, 1.0]
    assert not one.add("new", "x", 60)


def test_counts_survive_an_unnoticed_restart_of_redis(two: Pair, redis: Redis) -> None:
    one, _ = two
    one.set("tries", [1.0], 60)
    redis.stop(signal.SIGKILL)
    redis.start()
    assert one.get("tries") == [1.0]


@pytest.mark.parametrize("how", FAULTS)
def test_entries_deleted_while_redis_was_down_do_not_return(two: Pair, redis: Redis, how: str) -> None:
    one, other = two
    one.set("tries", [1.0], 60)
    break_by(how, redis)
    one.get("tries")
    one.add("lock", True, 60)
    one.delete("lock")
    one.delete("tries")
    mend(how, redis)
    until(lambda: not trouble.all_troubles())
    assert one.get("tries") is other.get("tries") is None
    assert other.add("lock", True, 60)


def test_counts_removed_by_another_process_do_not_return(two: Pair) -> None:
    one, other = two
    one.set("tries", [2.0, 1.0], 60)
    other.set("tries", [2.0], 60)
    assert one.get("tries") == [2.0]


def test_while_redis_is_paused_only_one_call_waits(two: Pair, redis: Redis) -> None:
    two[0].set("tries", [1.0], 60)
    break_by("paused", redis)
    began = time.monotonic()
    two[0].get("tries")
    assert time.monotonic() - began < 1.5
    began = time.monotonic()
    for _ in range(100):
        two[0].get("tries")
    assert time.monotonic() - began < 0.25


def test_a_redis_that_answers_slowly_counts_as_down(two: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as hasty:
        hasty.setattr(redis_link, "SLOW_SECONDS", 0.0)
        for _ in range(redis_link.MAX_SLOW_ANSWERS):
            two[0].get("tries")
        assert trouble.all_troubles()


def test_the_outage_and_its_end_are_each_logged_once(two: Pair, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    break_by("killed", redis)
    for _ in range(20):
        two[0].get("tries")
    mend("killed", redis)
    until(lambda: not trouble.all_troubles())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("degraded: redis keeps no counts")
    assert "refused" in said[0]
    assert said[1].startswith("No longer so: degraded: redis")


@pytest.fixture
def site_on_redis(redis: Redis) -> Iterator[None]:
    """The site, with its counts in this Redis."""
    where = {"BACKEND": "apps.core.cache.SharedCache", "LOCATION": redis.url, "KEY_PREFIX": PREFIX}
    with override_settings(CACHES={"default": where}):
        yield
        cache.clear()


@pytest.mark.django_db
@pytest.mark.parametrize("how", FAULTS)
def test_signing_up_and_in_works_whatever_happens_to_redis(redis: Redis, site_on_redis: None, how: str) -> None:
    assert sign_up("ada", email="ada@example.org")[1] == 302
    break_by(how, redis)
    assert sign_up("bea")[1] == 302
    assert Client().post("/accounts/login/", {"login": "ada", "password": PASSWORD}).status_code == 302
    assert Client().post("/accounts/password/reset/", {"email": "ada@example.org"}).status_code == 302
    assert Client().get("/readyz").content.decode().splitlines()[1:] == trouble.all_troubles() != []


@pytest.mark.django_db
@pytest.mark.parametrize("how", FAULTS)
def test_guessing_is_limited_before_during_and_after_an_outage(redis: Redis, site_on_redis: None, how: str) -> None:
    sign_up("ada")

    def guess() -> bool:
        answer = Client().post("/accounts/login/", {"login": "ada", "password": "wrong"})
        return "Too many failed" not in answer.content.decode()

    assert [guess() for _ in range(2)] == [True, True]
    break_by(how, redis)
    assert [guess() for _ in range(4)] == [True, True, True, False]
    mend(how, redis)
    until(lambda: not trouble.all_troubles())
    assert not guess()


@pytest.mark.django_db
def test_rate_limits_of_views_are_kept_in_redis(
    redis: Redis, site_on_redis: None, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits.RATES, "rooms", "2/h/user")
    request: Any = rf.post("/")
    request.user = make_user("ada")
    assert [bool(take(request, "rooms")) for _ in range(3)] == [True, True, False]
    assert 3590 < seconds_to_wait(request, "rooms") <= 3600
    with direct(redis) as connection:
        assert any(name.startswith(PREFIX.encode()) for name in connection.keys("*"))


def test_keys_of_one_secret_differ_by_purpose_and_by_site() -> None:
    keys = {environment.derived(secret, purpose) for secret in ("one", "two") for purpose in ("names", "channels")}
    assert len(keys) == 4
    assert not any(secret in key for secret in ("one", "two") for key in keys)

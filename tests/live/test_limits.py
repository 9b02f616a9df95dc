"""How much one user may send."""

import asyncio

import pytest

from apps.core import limits
from apps.core.buckets import Bucket
from apps.live import limits as live_limits
from apps.live.limits import Allowance, allowance_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr("apps.core.buckets.time.monotonic", lambda: now[0])
    monkeypatch.setattr(live_limits, "_allowances", {})
    return now


def test_someone_writing_at_human_speed_never_waits(clock: list[float]) -> None:
    allowance = Allowance()
    waits = []
    for _ in range(1000):
        waits.append(allowance.take("A line of text, as people write them."))
        clock[0] += 0.1
    assert set(waits) == {0.0}


def test_a_program_is_slowed_to_the_rate_after_its_first_burst(clock: list[float]) -> None:
    allowance = Allowance()
    waits = [allowance.take() for _ in range(int(limits.MAX_POSTS_AT_ONCE) + 100)]
    assert set(waits[: int(limits.MAX_POSTS_AT_ONCE)]) == {0.0}
    assert waits[-1] == pytest.approx(100 / limits.POSTS_PER_SECOND)


def test_after_a_pause_posting_can_continue(clock: list[float]) -> None:
    allowance = Allowance()
    for _ in range(int(limits.MAX_POSTS_AT_ONCE)):
        allowance.take()
    assert allowance.take()
    clock[0] += 1
    assert allowance.take() == 0


def test_text_is_limited_in_bytes_besides_the_number_of_posts(clock: list[float]) -> None:
    allowance = Allowance()
    long = "\N{GRINNING FACE}" * 10_000
    assert [allowance.take(long) for _ in range(20)] == [0.0] * 20
    assert allowance.take("x" * 10_000) == pytest.approx(10_000 / limits.TEXT_BYTES_PER_SECOND)


def test_a_post_that_would_wait_too_long_is_refused_and_costs_nothing(clock: list[float]) -> None:
    allowance = Allowance()
    allowance.text.left = 0
    assert allowance.take("x" * 40_000) is None
    assert allowance.text.left == 0
    assert allowance.posts.left == limits.MAX_POSTS_AT_ONCE


def test_limits_are_not_lower_than_promised(clock: list[float]) -> None:
    assert limits.POSTS_PER_SECOND >= 10
    assert limits.MAX_POSTS_AT_ONCE >= 200
    assert limits.TEXT_BYTES_PER_SECOND * 60 >= 400_000
    assert limits.MAX_TEXT_BYTES_AT_ONCE >= 400_000
    assert limits.MAX_SOCKETS_OF_A_PERSON >= 1000


def test_a_bucket_can_take_back_a_refused_amount(clock: list[float]) -> None:
    bucket = Bucket(rate=1, capacity=10)
    bucket.take(4)
    bucket.give_back(4)
    assert bucket.left == 10


def test_one_users_texts_are_rendered_one_at_a_time() -> None:
    running: list[int] = []
    most: list[int] = []

    async def work(user_id: int) -> None:
        async with allowance_of(user_id).turn():
            running.append(user_id)
            most.append(len(running))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running.remove(user_id)

    async def all_at_once(*people: int) -> int:
        most.clear()
        await asyncio.gather(*(work(person) for person in people))
        return max(most)

    # Two event loops: a lock bound to the first would fail in the second.
    assert asyncio.run(all_at_once(1, 1, 1)) == 1
    assert asyncio.run(all_at_once(1, 1, 1)) == 1
    assert asyncio.run(all_at_once(1, 2, 3)) == 3


def test_all_pages_of_a_user_share_one_allowance(clock: list[float]) -> None:
    assert allowance_of(1) is allowance_of(1)
    assert allowance_of(1) is not allowance_of(2)


def test_all_guests_of_an_address_share_one_allowance(clock: list[float]) -> None:
    assert allowance_of("10.0.0.1") is allowance_of("10.0.0.1")
    assert allowance_of("10.0.0.1") is not allowance_of("10.0.0.2")


def test_stored_allowances_are_bounded_and_those_with_open_pages_stay(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ALLOWANCES", 10)
    first = allowance_of(0)
    first.sockets = 1
    for user_id in range(1, 100):
        allowance_of(user_id)
    assert len(live_limits._allowances) <= 11
    assert allowance_of(0) is first

"""How much one person may send."""

import pytest

from apps.live import limits
from apps.live.limits import Allowance, allowance_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr("apps.live.limits.time.monotonic", lambda: now[0])
    monkeypatch.setattr(limits, "_allowances", {})
    return now


def test_who_writes_as_people_do_never_waits(clock: list[float]) -> None:
    allowance = Allowance()
    waits = []
    for _ in range(1000):
        waits.append(allowance.take())
        clock[0] += 0.1
    assert set(waits) == {0.0}


def test_a_program_is_slowed_to_the_rate_after_its_first_burst(clock: list[float]) -> None:
    allowance = Allowance()
    waits = [allowance.take() for _ in range(int(limits.MOST_AT_ONCE) + 100)]
    assert set(waits[: int(limits.MOST_AT_ONCE)]) == {0.0}
    assert waits[-1] == pytest.approx(100 / limits.RATE)


def test_who_pauses_may_go_on(clock: list[float]) -> None:
    allowance = Allowance()
    for _ in range(int(limits.MOST_AT_ONCE)):
        allowance.take()
    assert allowance.take() > 0
    clock[0] += 1
    assert allowance.take() == 0


def test_a_refused_post_costs_nothing(clock: list[float]) -> None:
    allowance = Allowance()
    allowance.take()
    allowance.give_back()
    assert allowance.left == limits.MOST_AT_ONCE


def test_all_pages_of_a_person_share_one_allowance(clock: list[float]) -> None:
    assert allowance_of(1) is allowance_of(1)
    assert allowance_of(1) is not allowance_of(2)
    assert allowance_of(None) is not allowance_of(None)


def test_what_is_remembered_is_bounded_and_those_with_open_pages_stay(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_REMEMBERED", 10)
    first = allowance_of(0)
    first.sockets = 1
    for user_id in range(1, 100):
        allowance_of(user_id)
    assert len(limits._allowances) <= 11
    assert allowance_of(0) is first

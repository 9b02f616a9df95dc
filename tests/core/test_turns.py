"""Taking turns at what only one transaction can change at a time."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from apps.core import limits, turns
from apps.core.turns import MARKS, Place, TooBusyError, own_turn, refuse_where_held, turn_at

ROOM = Place("room 5", capacity=2)


@pytest.fixture(autouse=True)
def _empty_queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Regardless of the database: SQLite has one place for everything.
    monkeypatch.setattr(Place, "here", lambda self: self)
    turns._queues.clear()
    yield
    turns._queues.clear()


pytestmark = pytest.mark.django_db(transaction=True)


def fail_to_lock(place: Place) -> None:
    """Take a turn and fail to get the lock."""
    with pytest.raises(TooBusyError), own_turn(place):
        raise TooBusyError("canceling statement due to lock timeout", is_held=True)


def test_only_a_few_tasks_work_at_once_and_the_others_follow_in_order() -> None:
    at_work, most, order = 0, 0, []

    async def work(number: int) -> None:
        nonlocal at_work, most
        async with turn_at(ROOM):
            at_work += 1
            most = max(most, at_work)
            await asyncio.sleep(0)
            order.append(number)
            at_work -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(work(number) for number in range(20)))

    asyncio.run(all_of_them())
    assert most == ROOM.capacity
    assert order == list(range(20))
    assert not turns._queues


def test_a_thread_working_for_a_task_uses_its_turn() -> None:
    async def work() -> int:
        async with turn_at(ROOM):
            return await asyncio.to_thread(at_work_in_a_turn)

    def at_work_in_a_turn() -> int:
        with own_turn(ROOM):
            return turns._queues[ROOM].at_work

    assert asyncio.run(work()) == 1
    assert not turns._queues


def test_a_turn_lasts_as_long_as_its_thread_even_if_the_task_was_cancelled() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        with own_turn(ROOM):
            begun.set()
            may_end.wait(10)

    async def scene() -> int:
        async def post() -> None:
            async with turn_at(ROOM):
                await asyncio.to_thread(work)

        task = asyncio.create_task(post())
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        at_work = turns._queues[ROOM].at_work
        may_end.set()
        return at_work

    assert asyncio.run(scene()) == 1
    assert not turns._queues


def test_after_a_failed_lock_one_task_tries_at_a_time_and_others_fail_at_once() -> None:
    fail_to_lock(ROOM)
    with pytest.raises(OperationalError), own_turn(ROOM):
        with pytest.raises(TooBusyError):
            refuse_where_held(ROOM)
        with pytest.raises(TooBusyError), own_turn(ROOM):
            pass
        raise OperationalError  # which does not tell whether it is locked
    assert turns._queues[ROOM].is_held


def test_getting_the_lock_reopens_the_place() -> None:
    fail_to_lock(ROOM)
    with own_turn(ROOM):
        pass
    assert not turns._queues


def test_getting_the_lock_and_then_failing_reopens_the_place_too() -> None:
    fail_to_lock(ROOM)
    with pytest.raises(ValueError), own_turn(ROOM):  # any error that is not the database's
        raise ValueError
    assert not turns._queues


def test_all_waiting_tasks_fail_when_one_fails_to_get_the_lock() -> None:
    async def wait() -> str:
        try:
            async with turn_at(ROOM):
                return "had a turn"
        except TooBusyError:
            return "failed"

    async def scene() -> list[str]:
        for _ in range(ROOM.capacity):
            assert turns.join_queue(ROOM) is None
        waiting = [asyncio.create_task(wait()) for _ in range(5)]
        while len(turns._queues[ROOM].waiting) < 5:
            await asyncio.sleep(0)
        turns.leave_queue(ROOM, turns.Outcome.IS_HELD)
        return await asyncio.gather(*waiting)

    assert asyncio.run(scene()) == ["failed"] * 5


def test_of_many_locked_rooms_only_a_few_are_tried_at_once() -> None:
    rooms = [Place(f"room {number}") for number in range(limits.MAX_TRYING + 1)]
    for room in rooms:
        fail_to_lock(room)
    for room in rooms[:-1]:
        assert turns.join_queue(room) is None
    with pytest.raises(TooBusyError):
        turns.join_queue(rooms[-1])


def test_one_users_locked_read_mark_does_not_affect_others() -> None:
    fail_to_lock(MARKS)
    assert not turns._queues


def test_no_one_waits_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROOM_SECONDS", 0.01)

    async def wait() -> None:
        async with turn_at(ROOM):
            pass

    for _ in range(ROOM.capacity):
        assert turns.join_queue(ROOM) is None
    with pytest.raises(TooBusyError):
        asyncio.run(wait())
    with pytest.raises(TooBusyError), own_turn(ROOM):
        pass
    assert not turns._queues[ROOM].waiting


def test_the_number_of_waiting_tasks_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_WAITING_FOR_A_ROOM", 1)
    for _ in range(ROOM.capacity):
        assert turns.join_queue(ROOM) is None
    assert turns.join_queue(ROOM)
    with pytest.raises(TooBusyError):
        turns.join_queue(ROOM)


def test_a_cancelled_task_leaves_the_queue() -> None:
    async def scene() -> None:
        async def wait() -> None:
            async with turn_at(ROOM):
                pass

        for _ in range(ROOM.capacity):
            assert turns.join_queue(ROOM) is None
        task = asyncio.create_task(wait())
        while not turns._queues[ROOM].waiting:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    for _ in range(ROOM.capacity):
        turns.leave_queue(ROOM, turns.Outcome.GOT_IT)
    assert not turns._queues

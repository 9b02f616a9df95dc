"""The line to a page that does not end; tests/live/test_endings.py has it under Daphne."""

import asyncio

from apps.live.lines import MOST_UNREAD, Burst
from apps.live.streams import StreamLine, connection_of


def line_of(most: int = 1000) -> StreamLine:
    return StreamLine(str.upper, None, most)


async def send(event: dict[str, object]) -> None:
    raise AssertionError(event)


def test_without_daphne_what_is_shown_waits_for_the_response() -> None:
    async def scene() -> None:
        assert connection_of(send) is connection_of(None) is None
        line = line_of()
        assert line.write(Burst(["one", "two"]))
        assert await line.read(1) == "ONETWO"
        assert await line.read(0.01) == ""

    asyncio.run(scene())


def test_what_was_written_before_the_end_is_read_before_it() -> None:
    async def scene() -> None:
        line = line_of()
        line.write(Burst(["last"]))
        line.close(4403)
        assert not line.write(Burst(["too late"]))
        assert [await line.read(1), await line.read(1)] == ["LAST", None]

    asyncio.run(scene())


def test_a_full_page_ends_the_waiting_at_once() -> None:
    async def scene() -> None:
        line = line_of(most=3)
        line.write(Burst(["abc"]))
        assert line.left == 0
        async with asyncio.timeout(1):
            assert [await line.read(60), await line.read(60)] == ["ABC", ""]

    asyncio.run(scene())


def test_a_reader_that_does_not_read_is_cut() -> None:
    line = line_of(most=MOST_UNREAD * 2)
    assert line.write(Burst(["x" * MOST_UNREAD]))
    assert not line.write(Burst(["y"]))
    assert line.code is not None

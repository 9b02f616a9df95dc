"""How frames reach a page under any ASGI server; tests/chat/test_sockets.py tests Daphne."""

import asyncio
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from apps.live import lines
from apps.live.lines import AsgiLine, line_for, until_read
from tests.bursts import burst


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_frames_are_encoded_as_the_standard_requires(length: int) -> None:
    texts = ["ä" + "x" * length, "second"]
    reader = StreamReader()
    reader.feed_data(burst(*texts).wire)
    for text in texts:
        parsing = Frame.parse(reader.read_exact, mask=False)
        with pytest.raises(StopIteration) as parsed:
            next(parsing)
        frame = parsed.value.value
        assert (frame.opcode, frame.fin, bytes(frame.data).decode()) == (Opcode.TEXT, True, text)


def test_a_burst_is_encoded_once() -> None:
    one = burst("one")
    assert one.wire is one.wire


class Server:
    """An ASGI server whose client reads only when told to."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.may_send = asyncio.Event()

    async def send(self, event: dict[str, Any]) -> None:
        await self.may_send.wait()
        self.sent.append(event)


def test_a_line_keeps_the_order_and_closes_last() -> None:
    async def scene() -> None:
        server = Server()
        line = line_for(server.send)
        assert line.write(burst("one", "two"))
        line.close(4403)
        assert not line.write(burst("three"))
        server.may_send.set()
        await until_read(line)
        assert [event.get("text", event.get("code")) for event in server.sent] == ["one", "two", 4403]

    asyncio.run(scene())


def test_a_client_that_does_not_read_is_cut_off_before_much_is_buffered() -> None:
    async def scene() -> None:
        line = AsgiLine(Server().send)
        some = burst("x" * 50_000)
        written = 0
        while line.write(some):
            written += 1
            assert line.unread <= lines.MAX_UNREAD_BYTES
        assert written == lines.MAX_UNREAD_BYTES // 50_000
        assert not line.write(some)

    asyncio.run(scene())


def test_waiting_for_a_client_that_does_not_read_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        monkeypatch.setattr(lines, "MAX_READING_SECONDS", 0.2)
        line = AsgiLine(Server().send)
        assert await until_read(line)
        line.write(burst("x"))
        assert not await until_read(line)

    asyncio.run(scene())


def test_a_failing_server_closes_the_line() -> None:
    async def fail(event: dict[str, Any]) -> None:
        raise OSError("gone")

    async def scene() -> None:
        line = AsgiLine(fail)
        line.write(burst("x"))
        while line.sending:
            await asyncio.sleep(0)
        assert not line.write(burst("y"))

    asyncio.run(scene())

"""The line to an endless page: on its own, and under Daphne."""

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse

import pytest
from websockets.sync.client import ClientConnection

from apps.live.lines import MAX_UNREAD_BYTES
from apps.live.response_lines import StreamLine, connection_of
from tests.bursts import burst
from tests.servers import Site


def line_of(most: int = 1000) -> StreamLine:
    return StreamLine(lambda burst: "".join(burst.texts).upper(), None, most)


async def send(event: dict[str, object]) -> None:
    raise AssertionError(event)


def test_without_daphne_frames_wait_for_the_response_to_read_them() -> None:
    async def scene() -> None:
        assert connection_of(send) is connection_of(None) is None
        line = line_of()
        assert line.write(burst("one", "two"))
        assert await line.read(1) == "ONETWO"
        assert await line.read(0.01) == ""

    asyncio.run(scene())


def test_frames_written_before_the_end_are_read_first() -> None:
    async def scene() -> None:
        line = line_of()
        line.write(burst("last"))
        line.close(4403)
        assert not line.write(burst("too late"))
        assert [await line.read(1), await line.read(1)] == ["LAST", None]

    asyncio.run(scene())


def test_a_full_page_stops_waiting_at_once() -> None:
    async def scene() -> None:
        line = line_of(most=3)
        line.write(burst("abc"))
        assert line.left == 0
        async with asyncio.timeout(1):
            assert [await line.read(60), await line.read(60)] == ["ABC", ""]

    asyncio.run(scene())


def test_a_reader_that_does_not_read_is_cut_off() -> None:
    line = line_of(most=MAX_UNREAD_BYTES * 2)
    assert line.write(burst("x" * MAX_UNREAD_BYTES))
    assert not line.write(burst("y"))
    assert line.code is not None


# Under Daphne


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def say(writer: ClientConnection, body: str) -> None:
    """Post, and wait until it is stored."""
    writer.send(json.dumps({"body": body, "client_id": str(uuid.uuid4())}))
    while "<hx-sent" not in str(writer.recv(timeout=5)):
        pass


@pytest.mark.parametrize("version", [10, 11])
def test_messages_arrive_complete_and_in_order(site: Site, version: int) -> None:
    keys = site.populate(users=2, rooms=1)
    # Proxies use 1.0 by default; it has no chunked encoding.
    answer = open_view(site, keys[0], version)
    assert answer.getheader("Transfer-Encoding") == ("chunked" if version == 11 else None)
    with site.page(keys[1]) as writer:
        for number in range(40):
            say(writer, f"Number {number}.")
    site.stop()
    text = answer.read().decode()
    assert re.findall(r'<p dir="auto">Number (\d+)\.</p>', text) == [str(number) for number in range(40)]
    assert text.endswith("</html>")


def test_an_unread_view_is_cut_off_and_memory_stays_small(site: Site) -> None:
    keys = site.populate(users=10, rooms=1)
    stuck = [open_view(site, keys[number // 2]) for number in range(10)]
    before = site.memory()
    with ExitStack() as pages:
        # Several, since one user may send only 800 KB at once.
        writers = [pages.enter_context(site.page(key)) for key in keys[5:]]
        # Each is 40 KB on the wire: together more than the system's buffers hold.
        for number in range(300):
            say(writers[number % 5], f"Number {number}. " + "<" * 9_900)
    # A page is full after 4 MB, read or not. SQLite alone may use 16 MB; all that was sent would be 120 MB.
    assert site.memory() - before < 40 * 1024 * 1024
    for answer in stuck:
        text = answer.read().decode()
        shown = re.findall(r'<p dir="auto">Number (\d+)\.', text)
        assert 10 < len(shown) < 280
        assert shown == [str(number) for number in range(len(shown))]
        assert "Go on reading live" in text[-500:]


def open_view(site: Site, key: str, version: int = 11) -> HTTPResponse:
    """A live view that is not read yet."""
    connection = HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection._http_vsn, connection._http_vsn_str = version, f"HTTP/1.{version - 10}"  # type: ignore[attr-defined]
    connection.request("GET", "/rooms/room-001/live/", headers={"Cookie": f"sessionid={key}"})
    return connection.getresponse()

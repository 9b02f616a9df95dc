"""Connections held open for nothing, and floods: real sockets on a real process with shorter timeouts."""

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.live.test_bodies import processor_seconds
from tests.scenes import rooms
from tests.servers import FRAMES, Site

# Instead of 20, 20, 60 and 75 seconds.
HASTY = {"HEADERS_SECONDS": 1.0, "BODY_SECONDS": 1.0, "BODY_PAUSE_SECONDS": 1.5, "IDLE_SECONDS": 4.0}
MEGABYTE = 1024 * 1024


def site_with(**numbers: object) -> Site:
    """A site with these limits."""
    return Site(environment={"LIMITS": json.dumps(numbers)}, application="tests.live.hasty:application")


@pytest.fixture(scope="module")
def hasty() -> Iterator[Site]:
    with site_with(**HASTY) as running:
        yield running


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A site with the real limits."""
    with site_with() as running:
        running.populate(users=3, rooms=1)
        running.run(rooms.set_access, "room-001", "public")
        yield running


@pytest.fixture(scope="module", autouse=True)
def _many_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


def opened(site: Site, data: bytes = b"") -> socket.socket:
    """A connection on which this data was sent."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    connection.sendall(data)
    return connection


def rest_of(connection: socket.socket) -> bytes:
    """Everything received until the other side closes."""
    answer = b""
    with suppress(ConnectionError):
        while data := connection.recv(65536):
            answer += data
    connection.close()
    return answer


def dripped(connection: socket.socket, piece: bytes, pause: float, most: float = 10.0) -> bytes:
    """The answer to a client that sends a piece, pauses, and so on."""
    ends = time.monotonic() + most
    connection.settimeout(pause)
    while time.monotonic() < ends:
        try:
            if connection.recv(1, socket.MSG_PEEK) is not None:
                break
        except TimeoutError:
            with suppress(ConnectionError):
                connection.sendall(piece)
        except ConnectionError:
            break
    connection.settimeout(10)
    return rest_of(connection)


HEAD = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
HANDSHAKE = b"GET /ws/rooms/lobby/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
WHOLE = HEAD + b"\r\n"


@pytest.mark.parametrize("half", [b"G", HEAD, HANDSHAKE, HANDSHAKE + b"Content-Length: 5\r\n\r\n"])
def test_half_a_request_is_answered_with_408_and_closed(hasty: Site, half: bytes) -> None:
    answer = rest_of(opened(hasty, half))
    if half == b"G":
        assert answer == b""  # too little to tell which request an answer would belong to
    else:
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b"send it again" in answer


def test_slowly_dripping_headers_are_cut_off_too(hasty: Site) -> None:
    began = time.monotonic()
    assert dripped(opened(hasty, HEAD), b"A: b\r\n", 0.2).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 5


def test_a_silent_connection_is_closed_without_an_answer(hasty: Site) -> None:
    assert rest_of(opened(hasty)) == b""


def test_an_idle_connection_is_kept_for_a_while_then_closed_without_an_answer(hasty: Site) -> None:
    connection = opened(hasty, WHOLE)
    assert b"ok\n" in connection.recv(65536)
    # Longer than the limit for headers.
    connection.settimeout(1.4)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(10)
    connection.sendall(WHOLE)
    assert b"ok\n" in connection.recv(65536)
    assert rest_of(connection) == b""


def test_a_connections_second_request_must_be_complete_in_time_too(hasty: Site) -> None:
    connection = opened(hasty, WHOLE)
    assert b"ok\n" in connection.recv(65536)
    connection.sendall(HEAD)
    assert dripped(connection, b"A: b\r\n", 0.3).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("length", [b"Content-Length: 5000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_dripping_body_is_cut_off(hasty: Site, length: bytes) -> None:
    began = time.monotonic()
    answer = dripped(opened(hasty, POST + length), b"1\r\na\r\n", 0.2)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 5


def test_a_body_over_a_slow_connection_arrives(hasty: Site) -> None:
    # 2,560 bytes a second, for three times the limit of a body that makes no progress.
    connection = opened(hasty, POST + b"Connection: close\r\nContent-Length: 7680\r\n\r\n")
    began = time.monotonic()
    answer = dripped(connection, b"a" * 512, 0.2)
    assert answer.split()[1] == b"403"
    assert time.monotonic() - began > 2


def test_a_fast_body_that_stops_before_its_end_is_cut_off(hasty: Site) -> None:
    began = time.monotonic()
    # By its average speed alone it could pause for 400 seconds.
    answer = dripped(opened(hasty, POST + b"Content-Length: 900001\r\n\r\n" + bytes(900_000)), b"", 1)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 5


def test_connections_that_are_cut_off_free_their_descriptors(hasty: Site) -> None:
    assert hasty.is_ready()
    before = hasty.descriptors()
    for connection in [opened(hasty, half) for half in (b"", HEAD, POST + b"Content-Length: 900000\r\n\r\n") * 20]:
        rest_of(connection)
    assert hasty.is_ready()
    assert hasty.descriptors() < before + 10


def test_an_addresss_oldest_incomplete_requests_make_room_for_new_ones() -> None:
    with site_with(MAX_HALF_SENT=50, HALF_SENT_SECONDS=0) as site, ExitStack() as stack:
        halves = [stack.enter_context(opened(site, HEAD)) for _ in range(60)]
        assert b"ok\n" in opened(site, WHOLE).recv(65536)
        for connection in halves[:9]:
            assert rest_of(connection) == b""
        halves[-1].sendall(b"\r\n")
        assert b"ok\n" in halves[-1].recv(65536)


def test_twelve_hundred_incomplete_requests_through_a_proxy_block_no_one() -> None:
    site = site_with(MAX_DESCRIPTORS=1024)
    site.environment["TRUSTED_PROXY_COUNT"] = "1"
    with site, ExitStack() as stack:
        halves = [stack.enter_context(opened(site, HEAD)) for _ in range(1200)]
        assert site.is_ready()
        assert b"ok\n" in opened(site, WHOLE).recv(65536)
        assert site.descriptors() < 1024 - 100
        halves[-1].sendall(b"\r\n")
        assert b"ok\n" in halves[-1].recv(65536)
        assert len(site.log.read_text().splitlines()) == 1


def test_five_hundred_dripping_bodies_take_little_memory(site: Site) -> None:
    assert site.is_ready()
    memory, descriptors = site.memory(), site.descriptors()
    with ExitStack() as stack:
        for _ in range(500):
            # So long that Twisted would open a file for it.
            half = POST + b"X-Forwarded-For: 10.0.0.1\r\nContent-Length: 900000\r\n\r\na"
            stack.enter_context(opened(site, half))
        assert site.is_ready()
        assert site.memory() - memory < 20 * MEGABYTE
        assert site.descriptors() - descriptors < 600


# Sockets


def socket_of(site: Site, key: str = "") -> ClientConnection:
    """A socket of room-001's page, as a guest if there is no key."""
    return connect(
        f"{site.socket_url}/ws/rooms/room-001/?{FRAMES}&since=1",
        additional_headers={"Cookie": f"sessionid={key}"} if key else {},
        origin=Origin(site.url),
        compression=None,
        close_timeout=1,
        ping_interval=None,
    )


def key_of(site: Site) -> str:
    """A signed-in user's session key."""
    return (site.folder / "sessions").read_text().splitlines()[0]


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A masked frame, as a browser sends it (RFC 6455, 5.2)."""
    assert len(payload) < 126
    return bytes((opcode | (0x80 if fin else 0), 0x80 | len(payload))) + bytes(4) + payload


FLOODS = {
    "pings": (b"", frame(9)),
    "pongs": (b"", frame(10, b"x")),
    "empty pieces": (frame(1, fin=False), frame(0, fin=False)),
    "empty messages": (b"", frame(1)),
    "binary": (b"", frame(2, b"x")),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flooding_socket_is_closed_before_it_costs_much(site: Site, kind: str) -> None:
    beginning, one = FLOODS[kind]
    with socket_of(site, key_of(site)) as page:
        processor = processor_seconds(site)
        sent = 0
        page.socket.sendall(beginning)
        with suppress(OSError):
            for _ in range(200):
                page.socket.sendall(one * 10_000)
                sent += 10_000
        with pytest.raises(ConnectionClosed):
            while True:
                page.recv(timeout=10)
    assert site.is_ready()
    # Two million frames would take about 20 seconds.
    assert processor_seconds(site) - processor < 0.5


def test_a_flooding_client_is_told_not_to_reconnect(site: Site) -> None:
    with socket_of(site) as page:
        page.socket.sendall(frame(9) * 150)
        with pytest.raises(ConnectionClosed) as closed:
            page.recv(timeout=5)
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 4429


def test_a_page_that_pings_now_and_then_stays_connected(site: Site) -> None:
    with socket_of(site) as page:
        for _ in range(80):
            assert page.ping().wait(5)
        with pytest.raises(TimeoutError):
            page.recv(timeout=0.2)


def test_guests_of_an_address_have_limited_sockets_and_members_still_get_one(site: Site) -> None:
    with ExitStack() as stack:
        guests = [stack.enter_context(socket_of(site)) for _ in range(100)]
        with socket_of(site) as one_more, pytest.raises(ConnectionClosed) as closed:
            assert "without signing in" in str(one_more.recv(timeout=5))
            one_more.recv(timeout=5)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 4429
        member = stack.enter_context(socket_of(site, key_of(site)))
        for page in (guests[0], guests[-1], member):
            assert page.ping().wait(5)
        # A socket that is closed makes room for another.
        guests.pop().close()
        again = stack.enter_context(socket_of(site))
        assert again.ping().wait(5)


def test_sockets_leave_connections_for_pages() -> None:
    # That allows 150 connections, of which 86 may be sockets.
    with site_with(MAX_DESCRIPTORS=200) as site, ExitStack() as stack:
        key = site.populate(users=1, rooms=1)[0]
        for _ in range(80):
            stack.enter_context(socket_of(site, key))
        with suppress(ConnectionClosed, OSError, InvalidHandshake):
            for _ in range(20):
                stack.enter_context(socket_of(site, key))
            pytest.fail("Sockets take all connections of the process")
        assert site.is_ready()
        assert b"ok\n" in opened(site, WHOLE).recv(65536)


def test_unread_answers_do_not_pile_up(hasty: Site) -> None:
    static = b"GET /static/vendor/htmx.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with ExitStack() as stack:
        stack.enter_context(opened(hasty, static * 3)).recv(1)
        before = hasty.memory()
        asked = [stack.enter_context(opened(hasty, static * 900)) for _ in range(5)]
        for connection in asked:
            connection.recv(1)
        assert hasty.is_ready()
        # They would take 35 MB each.
        assert hasty.memory() - before < 40 * MEGABYTE

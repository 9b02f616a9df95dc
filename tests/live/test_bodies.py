"""Large request bodies from strangers are refused before they cost anything."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.servers import Site

MEGABYTE = 1024 * 1024
LARGE = 100 * MEGABYTE


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


def processor_seconds(site: Site) -> float:
    """The processor time that the site's process has used."""
    assert site.process
    fields = Path(f"/proc/{site.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send(site: Site, kind: str, pieces: Iterator[bytes], length: str) -> tuple[bytes, int]:
    """The answer to a stranger's POST, and how many bytes were accepted before the connection was closed."""
    taken = 0
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection:
        head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
        connection.sendall(head.encode())
        with suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
                taken += len(piece)
        answer = b""
        with suppress(ConnectionError):
            while received := connection.recv(65536):
                answer += received
    return answer, taken


def pieces(piece: bytes) -> Iterator[bytes]:
    """LARGE bytes, a piece at a time."""
    return (piece for _ in range(LARGE // len(piece)))


FORM = b"a&" * (MEGABYTE // 2)
CHUNK = b"100000\r\n" + bytes(MEGABYTE) + b"\r\n"


@pytest.mark.parametrize(
    ("kind", "piece", "length"),
    [
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + FORM, None),
        ("application/x-www-form-urlencoded", FORM, None),
        ("application/octet-stream", FORM, None),
        ("application/x-www-form-urlencoded", CHUNK, "Transfer-Encoding: chunked"),
    ],
)
def test_a_hundred_megabytes_from_a_stranger_cost_next_to_nothing(
    site: Site, kind: str, piece: bytes, length: str | None
) -> None:
    assert site.is_ready()
    memory, processor = site.memory(), processor_seconds(site)
    answer, taken = send(site, kind, pieces(piece), length or f"Content-Length: {LARGE}")
    # The answer may be lost if the connection is closed while more is being sent.
    assert not answer or answer.startswith(b"HTTP/1.1 413 ")
    assert taken < 20 * MEGABYTE
    assert site.memory() - memory < 20 * MEGABYTE
    assert processor_seconds(site) - processor < 1.0
    assert site.is_ready()


def test_a_declared_length_over_the_limit_is_refused(site: Site) -> None:
    answer, _ = send(site, "text/plain", iter(()), f"Content-Length: {LARGE}")
    assert answer.startswith(b"HTTP/1.1 413 Content Too Large\r\n")
    assert b"send less" in answer


def test_a_form_within_the_limit_is_not_parsed_before_it_is_needed(site: Site) -> None:
    assert site.is_ready()
    # The error page is rendered once.
    send(site, "application/x-www-form-urlencoded", iter((b"a",)), "Connection: close\r\nContent-Length: 1")
    processor = processor_seconds(site)
    body = FORM[: MEGABYTE - 10]
    answer, _ = send(
        site, "application/x-www-form-urlencoded", iter((body,)), f"Connection: close\r\nContent-Length: {len(body)}"
    )
    assert answer.split()[1] in {b"400", b"403"}
    # With Twisted's parser it takes 0.22 s, all of it on the event loop; without, 0.02 s.
    assert processor_seconds(site) - processor < 0.1

"""Passive readers: live views without scripts, and sockets read in the same way for comparison."""

import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.load import handshake
from tests.servers import FRAMES

CLOCK_TICKS = 100  # per second, on Linux


def live_view(path: str, cookie: str, port: int) -> bytes:
    """Return the request for a live view, from a browser that supports patching."""
    agent = "Mozilla/5.0 Chrome/156.0.0.0"
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Cookie: {cookie}", f"User-Agent: {agent}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Readers:
    """Connections read by a thread as fast as data arrives; `arrived` counts occurrences of a mark."""

    def __init__(self, port: int, requests: list[bytes], mark: bytes) -> None:
        self.mark = mark
        self.arrived = 0
        self.poll = select.epoll()
        self.connections: dict[int, socket.socket] = {}
        self.answered: set[int] = set()
        self.is_over = False
        threading.Thread(target=self.read, daemon=True).start()
        for request in requests:
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(request)
            self.connections[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)
            if len(self.connections) % 20 == 0:
                self.wait(lambda: len(self.answered) > len(self.connections) - 20)
        self.wait(lambda: len(self.answered) == len(requests))

    def read(self) -> None:
        while not self.is_over:
            for descriptor, _ in self.poll.poll(0.2):
                data = self.connections[descriptor].recv(1 << 18)
                self.answered.add(descriptor)
                self.arrived += data.count(self.mark)
                if not data:
                    self.poll.unregister(descriptor)

    def wait(self, is_so: Callable[[], bool], patience: float = 60.0) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + patience
        while not is_so():
            assert time.monotonic() < deadline, f"{len(self.answered)} answered, {self.arrived} arrived"
            time.sleep(0.005)

    def wait_for(self, count: int) -> None:
        """Wait until this many messages have arrived, over all readers."""
        self.wait(lambda: self.arrived >= count)

    def close(self) -> None:
        self.is_over = True
        for connection in self.connections.values():
            connection.close()


def opened(kind: str, keys: list[str], count: int, port: int) -> list[bytes]:
    """Return the requests of readers of one room, two per user."""
    cookies = [f"sessionid={keys[number // 2]}" for number in range(count)]
    if kind == "live views":
        return [live_view("/rooms/room-001/live/", cookie, port) for cookie in cookies]
    return [handshake(f"/ws/rooms/room-001/?{FRAMES}&since=999999999", cookie, port) for cookie in cookies]


def processor_seconds(pid: int) -> float:
    """Return the CPU time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

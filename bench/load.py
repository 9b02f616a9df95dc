"""
The load generator: many sockets in one process, polled directly without asyncio, so the server is the bottleneck.

Run as `python -m bench.load`; reads a Plan as JSON from standard input, prints a line of JSON when all sockets are
open, and then executes commands, one per line.
"""

import base64
import json
import os
import select
import socket
import struct
import sys
import time
import uuid
from collections import deque
from dataclasses import asdict, dataclass

ONE_READ = 1 << 18
# Message arrivals are timed on every tenth socket; on the others, frames are only counted.
TIMED_EACH = 10
MARK = b"mark-"
MARK_LENGTH = len(MARK) + 8


@dataclass(frozen=True)
class Plan:
    """
    What to do. `sockets` are pairs of path and cookie, spread over the ports; the first `posters` of them post, one
    message at a time, each after the last one has come back. `together` is how many connect at once.
    """

    ports: list[int]
    sockets: list[tuple[str, str]]
    posters: int = 0
    seconds: float = 0.0
    together: int = 50
    # One message at a time overall: the posters take turns.
    in_turn: bool = False
    warm_up: float = 1.0
    body: str = "Hello **everyone**, see https://example.org and `code`."


@dataclass
class Result:
    """What arrived: `frames` counts messages over all sockets; delays are milliseconds from sending to arrival."""

    frames: int = 0
    posts: int = 0
    bytes: int = 0
    seconds: float = 0.0
    median: float = 0.0
    slowest_hundredth: float = 0.0
    # The share of time that the load generator itself was busy; near 1, it was the bottleneck and not the server.
    busy: float = 0.0


@dataclass(eq=False)
class Socket:
    """A client connection after its handshake."""

    connection: socket.socket
    is_timed: bool
    poster: int | None
    # Bytes left of the current frame, and buffered data of an incomplete header or timed message.
    skip: int = 0
    held: bytes = b""
    frames: int = 0


def client_frame(text: str) -> bytes:
    """Return a client's text frame, masked with zeros, which leaves the text unchanged (RFC 6455, 5.3)."""
    payload = text.encode()
    length = len(payload)
    header = bytes([0x81, 0x80 | length]) if length < 126 else bytes([0x81, 0x80 | 126]) + struct.pack("!H", length)
    return header + b"\0\0\0\0" + payload


def handshake(path: str, cookie: str, port: int) -> bytes:
    """Return the request that opens a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Origin: http://127.0.0.1:{port}",
        f"Cookie: {cookie}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def open_socket(port: int, path: str, cookie: str) -> socket.socket:
    """Connect and send the handshake; `finish_opening` reads the response."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(handshake(path, cookie, port))
    return connection


def finish_opening(connection: socket.socket) -> bytes:
    """Read the handshake's response; return what came after it. Raises ConnectionError if it was refused."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("closed during the handshake")
        answer += more
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise ConnectionError(head.decode())
    connection.setblocking(False)
    return rest


class Load:
    """Executes a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.poll = select.epoll()
        self.by_descriptor: dict[int, Socket] = {}
        self.posters: list[Socket] = []
        self.sent_at: dict[bytes, float] = {}
        self.last_mark: list[bytes] = []
        self.delays: list[float] = []
        self.posts = self.bytes = 0
        self.buffer = bytearray(ONE_READ)
        self.is_counting = False
        self.ready_to_post: deque[int] = deque()

    def open(self) -> None:
        """Open all sockets, in batches."""
        waiting = list(enumerate(self.plan.sockets))
        for start in range(0, len(waiting), self.plan.together):
            some = waiting[start : start + self.plan.together]
            opened = [(number, open_socket(self.port_of(number), path, cookie)) for number, (path, cookie) in some]
            for number, connection in opened:
                rest = finish_opening(connection)
                poster = number if number < self.plan.posters else None
                client = Socket(connection, number % TIMED_EACH == 0, poster)
                self.by_descriptor[connection.fileno()] = client
                self.poll.register(connection.fileno(), select.EPOLLIN)
                if poster is not None:
                    self.posters.append(client)
                    self.last_mark.append(b"")
                self.take(client, memoryview(rest), time.perf_counter())

    def port_of(self, number: int) -> int:
        return self.plan.ports[number % len(self.plan.ports)]

    def wait_for_all(self) -> None:
        """Wait until every socket has received a message."""
        while any(not client.frames for client in self.by_descriptor.values()):
            for descriptor, _ in self.poll.poll(1):
                self.read(self.by_descriptor[descriptor])

    def run(self) -> Result:
        """Post for the plan's time, after a warm-up that is not counted."""
        began = time.perf_counter() + self.plan.warm_up
        end = began + self.plan.seconds
        for number in range(1 if self.plan.in_turn else len(self.posters)):
            self.post(number)
        slept = 0.0
        frames_before = 0
        while (now := time.perf_counter()) < end:
            if not self.is_counting and now >= began:
                self.is_counting, began, slept, self.posts, self.bytes = True, now, 0.0, 0, 0
                frames_before = sum(client.frames for client in self.by_descriptor.values())
            events = self.poll.poll(min(0.05, end - now))
            slept += time.perf_counter() - now
            for descriptor, _ in events:
                self.read(self.by_descriptor[descriptor])
            while self.ready_to_post:
                self.post(self.ready_to_post.popleft())
        seconds = time.perf_counter() - began
        self.delays.sort()
        return Result(
            frames=sum(client.frames for client in self.by_descriptor.values()) - frames_before,
            posts=self.posts,
            bytes=self.bytes,
            seconds=seconds,
            median=self.delay_at(0.5),
            slowest_hundredth=self.delay_at(0.99),
            busy=1 - slept / seconds,
        )

    def delay_at(self, share: float) -> float:
        return self.delays[int(len(self.delays) * share)] * 1000 if self.delays else 0.0

    def post(self, number: int) -> None:
        """Send a poster's next message."""
        mark = MARK + f"{number:03}{uuid.uuid4().hex[:5]}".encode()
        self.last_mark[number] = mark
        self.sent_at[mark] = time.perf_counter()
        fields = {"body": f"{self.plan.body} {mark.decode()}", "client_id": str(uuid.uuid4()), "headers": {}}
        self.posters[number].connection.setblocking(True)
        self.posters[number].connection.sendall(client_frame(json.dumps(fields)))
        self.posters[number].connection.setblocking(False)

    def read(self, client: Socket) -> None:
        """Read what has arrived on one socket."""
        try:
            count = client.connection.recv_into(self.buffer)
        except BlockingIOError:
            return
        if not count:
            raise ConnectionError("the server closed a socket")
        self.bytes += count
        self.take(client, memoryview(self.buffer)[:count], time.perf_counter())

    def take(self, client: Socket, data: memoryview, now: float) -> None:
        """Count the frames in the data; on timed sockets and posters, look for the marks of posts."""
        if client.is_timed or client.poster is not None:
            self.look_for_marks(client, bytes(data), now)
        end = len(data)
        at = client.skip
        if client.held:
            data = memoryview(client.held + bytes(data))
            end, at, client.held = len(data), 0, b""
        while at < end:
            if end - at < 10 and end - at < header_length(data, at, end):
                client.held = bytes(data[at:])
                at = end
                break
            length = data[at + 1]
            text = data[at] == 0x81
            at += 2
            if length == 126:
                length = data[at] << 8 | data[at + 1]
                at += 2
            elif length == 127:
                length = int.from_bytes(data[at : at + 8], "big")
                at += 8
            # Replies to a poster are short frames; messages are never that short.
            if text and length > 200:
                client.frames += 1
            at += length
        client.skip = at - end

    def look_for_marks(self, client: Socket, data: bytes, now: float) -> None:
        """Record the delays of the marks in the data; a poster that sees its own may post again."""
        at = data.find(MARK)
        while at >= 0:
            mark = data[at : at + MARK_LENGTH]
            sent = self.sent_at.get(mark)
            if sent is not None and self.is_counting and client.is_timed:
                self.delays.append(now - sent)
            if client.poster is not None and mark == self.last_mark[client.poster]:
                self.last_mark[client.poster] = b""
                self.posts += 1
                follower = (client.poster + 1) % len(self.posters) if self.plan.in_turn else client.poster
                self.ready_to_post.append(follower)
            at = data.find(MARK, at + MARK_LENGTH)


def header_length(data: memoryview, at: int, end: int) -> int:
    """Return the length of the frame header at this position; 2 if too little has arrived to know."""
    if end - at < 2:
        return 2
    return {126: 4, 127: 10}.get(data[at + 1], 2)


def main() -> None:
    """Read the plan, open the sockets and execute commands."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    load = Load(plan)
    began = time.perf_counter()
    load.open()
    print(json.dumps({"opened": len(load.by_descriptor), "seconds": time.perf_counter() - began}), flush=True)
    # The next command: "post", "wait for all", or end of input.
    while order := sys.stdin.readline().strip():
        if order == "post":
            print(json.dumps(asdict(load.run())), flush=True)
        else:
            load.wait_for_all()
            print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main()

"""
`make bench`: how fast live delivery is here, as ratios to the usual Channels consumer in the same run.

The server and the readers are processes of their own. The product's side posts Markdown over a socket, stores it
in SQLite and renders it; the yardstick (bench/yardstick.py) stores nothing and renders in each consumer, as
tutorials do.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, dataclass

from websockets.asyncio.client import ClientConnection, connect

from tests.servers import ROOT, Site, free_port, stop, wait_for_port

READERS = 200
POSTS = 100
BODY = "Hello **everyone**, see https://example.org and `code`, message %d."


@dataclass(frozen=True)
class Delivery:
    """What one run delivered."""

    frames: int
    seconds: float
    slowest_hundredth: float  # milliseconds from sending a post to a reader having it, 99th percentile
    median: float

    @property
    def frames_a_second(self) -> float:
        return self.frames / self.seconds


async def deliver(address: str, headers: list[dict[str, str]], origin: str) -> Delivery:
    """Open READERS sockets, post over one of them one after another, and time what arrives."""
    sockets: list[ClientConnection] = []
    for number in range(READERS):
        sockets.append(
            await connect(
                address,
                additional_headers=headers[number % len(headers)],
                origin=origin,  # type: ignore[arg-type]
                max_size=None,
                compression=None,
            )
        )
    delays: list[float] = []
    mark, sent_at = "no post yet", 0.0

    async def read(socket: ClientConnection) -> None:
        seen = 0
        while seen < POSTS:
            text = str(await socket.recv())
            if mark in text:
                delays.append(time.perf_counter() - sent_at)
                seen += 1

    readers = [asyncio.create_task(read(socket)) for socket in sockets]
    began = time.perf_counter()
    for number in range(POSTS):
        mark, sent_at = f"message {number}.", time.perf_counter()
        await sockets[0].send(json.dumps({"body": BODY % number, "client_id": str(uuid.uuid4()), "headers": {}}))
        # The next post when all have this one: the frames of two posts are then never taken for each other.
        while len(delays) < READERS * (number + 1):
            await asyncio.sleep(0)
    await asyncio.gather(*readers)
    seconds = time.perf_counter() - began
    for socket in sockets:
        socket.transport.abort()
    delays.sort()
    return Delivery(len(delays), seconds, delays[int(len(delays) * 0.99)] * 1000, delays[len(delays) // 2] * 1000)


def measure_parley() -> Delivery:
    """The product: real sessions, membership, database and rendering."""
    with Site() as site:
        keys = site.populate(users=20, rooms=1)
        headers = [{"Cookie": f"sessionid={key}"} for key in keys]
        return asyncio.run(deliver(f"{site.socket_url}/ws/rooms/room-001/?since=9999", headers, site.url))


def measure_yardstick() -> Delivery:
    """One consumer a socket, group_send, a template rendered in each."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "daphne", "--verbosity", "0", "--port", str(port), "bench.yardstick:application"],
        cwd=ROOT,
    )
    try:
        wait_for_port(port, process)
        return asyncio.run(deliver(f"ws://127.0.0.1:{port}/", [{}], f"http://127.0.0.1:{port}"))
    finally:
        stop(process)


def main() -> None:
    """Measure both, print the table, write var/bench.json."""
    parley, yardstick = measure_parley(), measure_yardstick()
    ratio = parley.frames_a_second / yardstick.frames_a_second
    print(f"{READERS} readers in one room, {POSTS} posts one after another, one server process.\n")
    print(f"{ratio:.1f} times the frames a second of one consumer a socket with group_send\n")
    print(f"{'':28}{'frames/s':>10}{'median ms':>12}{'99 % ms':>10}")
    for name, run in (("Parley, stored and rendered", parley), ("one consumer a socket", yardstick)):
        print(f"{name:28}{run.frames_a_second:>10.0f}{run.median:>12.1f}{run.slowest_hundredth:>10.1f}")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"\nMeasured on {machine}. The readers share it and are Python too, so the ratio is a lower bound.")
    file = ROOT / "var" / "bench.json"
    file.parent.mkdir(exist_ok=True)
    results = {"machine": machine, "ratio": ratio, "parley": asdict(parley), "yardstick": asdict(yardstick)}
    file.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()

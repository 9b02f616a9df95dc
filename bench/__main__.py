"""
`make bench`: the speed of live delivery, as ratios to real alternatives in the same run.

The server runs on one core and the load generator (bench/load.py) on another, in separate processes. Parley runs with
real sessions, membership, database and rendering. It is compared with the usual Channels consumer (yardstick.py) and
the least a server could do (bare.py), under the same Daphne. `python -m bench delivery memory` runs only these parts.
"""

import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import redis
from websockets.sync.client import ClientConnection

from bench import weight
from bench.load import Plan
from bench.streams import Readers, opened, processor_seconds
from tests.servers import FRAMES, ROOT, Postgres, Redis, Site, free_port, stop, wait_for_port

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
SERVER_CORE, LOAD_CORE = (CORES[0], CORES[1]) if len(CORES) > 1 else (None, None)
SECONDS = 8.0
POSTERS = 8
FAR = "since=999999999"

results: dict[str, Any] = {}


def show(name: str, value: str, ratio: str = "") -> None:
    """Print one line of the table."""
    print(f"{name:<66}{value:>24}   {ratio}", flush=True)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Pin processes started in this context to one core."""
    if core is None:
        yield
        return
    os.sched_setaffinity(0, {core})
    yield
    os.sched_setaffinity(0, CORES)


class Load:
    """The load generator's process."""

    def __init__(self, plan: Plan) -> None:
        with on_core(LOAD_CORE):
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bench.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        self.opened_in: float = self.tell(json.dumps(asdict(plan)))["seconds"]

    def tell(self, line: str) -> dict[str, Any]:
        """Send a command; return the reply."""
        assert self.process.stdin
        assert self.process.stdout
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer, "the load ended"
        found: dict[str, Any] = json.loads(answer)
        return found

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def server(application: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run another ASGI application under the same Daphne; yield its port and process."""
    port = free_port()
    command = [sys.executable, "-m", "daphne", "--verbosity", "0", "--port", str(port), "--websocket_timeout", "-1"]
    with on_core(SERVER_CORE):
        process = subprocess.Popen([*command, application], cwd=ROOT)
    try:
        wait_for_port(port, process)
        yield port, process
    finally:
        stop(process, signal.SIGKILL)


@contextmanager
def parley(environment: dict[str, str] | None = None, *, users: int, rooms: int) -> Iterator[tuple[Site, list[str]]]:
    """Run Parley with users and rooms; yield the site and its users' session keys."""
    site = Site(environment or {}, application="bench.probe:application")
    site.manage("migrate", "--verbosity", "0")
    keys = site.populate(users=users, rooms=rooms)
    with on_core(SERVER_CORE):
        site.start()
    try:
        yield site, keys
    finally:
        site.stop(signal.SIGKILL)
        site.__exit__(None, None, None)


def sockets(keys: list[str], count: int, rooms: int, query: str = FAR) -> list[tuple[str, str]]:
    """Return paths and cookies of users' pages, spread over the rooms."""
    return [
        (f"/ws/rooms/room-{number % rooms + 1:03}/?{FRAMES}&{query}", f"sessionid={keys[number % len(keys)]}")
        for number in range(count)
    ]


def posted(load: Load) -> dict[str, Any]:
    """Post for a while; return what arrived."""
    found = load.tell("post")
    found["frames_a_second"] = found["frames"] / found["seconds"]
    found["posts_a_second"] = found["posts"] / found["seconds"]
    return found


def frames(run: dict[str, Any]) -> str:
    return f"{run['frames_a_second']:,.0f} frames/s"


def posts(run: dict[str, Any]) -> str:
    return f"{run['posts_a_second']:.0f} posts/s"


def figures(run: dict[str, Any]) -> str:
    return f"median {run['median']:.0f} ms, 99 % {run['slowest_hundredth']:.0f} ms, load {run['busy']:.0%} busy"


def measure_load() -> None:
    """Measure the load generator itself, with a process that only writes."""
    port = free_port()
    with on_core(SERVER_CORE):
        process = subprocess.Popen([sys.executable, "-m", "bench.blaster", str(port)], cwd=ROOT)
    try:
        wait_for_port(port, process)
        with Load(Plan([port], [("/", "")], seconds=2.0)) as load:
            run = posted(load)
    finally:
        stop(process, signal.SIGKILL)
    results["load"] = run
    show("the load can take, in large reads", frames(run))


def measure_delivery() -> None:
    """Measure 500 sockets in one room, and 5,000 in 100."""
    with server("bench.yardstick:application") as (port, _), Load(plan([port], [("/", "")] * 500)) as load:
        stock = results["stock"] = posted(load)
    show("one consumer a socket, group_send, nothing stored", frames(stock))
    with server("bench.bare:application") as (port, _), Load(plan([port], [("/", "")] * 500)) as load:
        bare = results["bare"] = posted(load)
    show("a bare loop that sends one prepared string", frames(bare), figures(bare))
    with parley(users=500, rooms=1) as (site, keys), Load(plan([site.port], sockets(keys, 500, 1))) as load:
        room = results["parley_500"] = posted(load) | {"memory": site.memory()}
    show("Parley, stored and rendered, 500 sockets in one room", frames(room), figures(room))
    results["to_stock"] = room["frames_a_second"] / stock["frames_a_second"]
    results["to_bare"] = room["frames_a_second"] / bare["frames_a_second"]
    show("  to one consumer a socket (at least 10)", "", f"{results['to_stock']:.1f}")
    show("  to the bare loop (at least 0.8)", "", f"{results['to_bare']:.2f}")
    with parley(users=500, rooms=100) as (site, keys), Load(plan([site.port], sockets(keys, 5000, 100))) as load:
        rooms = results["parley_5000"] = posted(load) | {"memory": site.memory()}
    show("5,000 sockets in 100 rooms", frames(rooms), figures(rooms))
    show("  bound by storing", posts(rooms), f"{posts(room)} with 500 sockets in one room")


def measure_crowds() -> None:
    """Measure the cost of delivering a frame, without storing or batching: one post at a time."""
    costs = []
    for count, rooms in ((500, 1), (5000, 100)):
        with parley(users=500, rooms=rooms) as (site, keys):
            pages = sockets(keys, count, rooms)
            with Load(Plan([site.port], pages, posters=100, seconds=SECONDS, in_turn=True)) as load:
                posted(load)
            costs.append(delivering(site))
    few, many = costs
    results["per_frame"] = {"few": few, "many": many, "ratio": many / few}
    show("delivering, 500 sockets in one room, one post at a time", f"{few:.1f} µs/frame")
    show("delivering, 5,000 sockets in 100 rooms", f"{many:.1f} µs/frame", f"{many / few:.2f} (at most 1.25)")


def plan(ports: list[int], pages: list[tuple[str, str]], posters: int = POSTERS) -> Plan:
    return Plan(ports, pages, posters=posters, seconds=SECONDS)


def delivering(site: Site) -> float:
    """Return the microseconds of CPU time that the hub spent per frame and socket."""
    with urllib.request.urlopen(f"{site.url}/bench") as answer:
        spent = json.load(answer)
    return float(spent["seconds"] / spent["frames"] * 1e6)


def measure_memory() -> None:
    """Measure 5,000 idle sockets, after warming up with others, so that only what a socket needs counts."""
    path = f"/ws/rooms/room-001/?{FRAMES}&{FAR}"
    with server("bench.bare:application") as (port, process):
        bare = memory_of_each(port, [(path, "sessionid=" + "a" * 32)] * 5000, lambda: resident(process.pid))
    with parley(users=500, rooms=100) as (site, keys):
        joined = memory_of_each(site.port, sockets(keys, 5000, 100), site.memory)
    results["memory"] = {"bare": bare, "parley": joined, "ratio": joined / bare}
    show("memory of a bare accepted socket", f"{bare / 1024:.1f} KiB")
    show("memory of an idle joined page", f"{joined / 1024:.1f} KiB", f"{joined / bare:.2f} (at most 1.4)")


def memory_of_each(port: int, pages: list[tuple[str, str]], memory: Callable[[], int]) -> float:
    """Return the bytes per socket."""
    with Load(Plan([port], pages[:1000])):
        pass
    time.sleep(4)  # Daphne forgets closed sockets a second or two later
    before = memory()
    with Load(Plan([port], pages)):
        time.sleep(2)
        return (memory() - before) / len(pages)


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def measure_processes() -> None:
    """Measure 500 sockets in one room on one process, and split between two, over Redis."""
    with Redis() as layer:
        environment = {"REDIS_URL": layer.url, "SECRET_KEY": "shared"}
        with parley(environment, users=500, rooms=1) as (first, keys):
            with Load(plan([first.port], sockets(keys, 500, 1))) as load:
                one = posted(load)
            second = Site(environment | {"SITE_URL": first.url}, folder=first.folder, application=first.application)
            with on_core(CORES[-1] if len(CORES) > 2 else LOAD_CORE):
                second.start()
            calls = published(layer.url)
            with Load(plan([first.port, second.port], sockets(keys, 500, 1))) as load:
                two = posted(load)
            publishes = (published(layer.url) - calls) / max(1, two["posts"])
            second.stop(signal.SIGKILL)
    ratio = two["frames_a_second"] / one["frames_a_second"]
    results["two_processes"] = {"one": one, "two": two, "ratio": ratio, "publishes_a_post": publishes}
    free = "" if len(CORES) > 2 else "; here the second shares its core with the load"
    show("one process over Redis", frames(one))
    show(
        "two processes over Redis",
        f"{two['frames_a_second']:,.0f} frames/s",
        f"{ratio:.2f} (1.6 where two cores are free{free})",
    )
    show("  messages through Redis for each post, warm-up included", f"{publishes:.2f}")


def published(url: str) -> int:
    """Return how many messages were published through Redis."""
    calls: int = redis.Redis.from_url(url).info("commandstats").get("cmdstat_publish", {}).get("calls", 0)
    return calls


def measure_storing() -> None:
    """Measure posts stored per second by 20 users at once, in one room and in twenty, on both databases."""
    with Postgres() as postgres:
        for name, environment in (
            ("SQLite", {}),
            ("PostgreSQL", {"DATABASE_URL": postgres.url, "SECRET_KEY": "shared"}),
        ):
            for rooms in (1, 20):
                with (
                    parley(environment, users=20, rooms=20) as (site, keys),
                    Load(plan([site.port], sockets(keys, 20, rooms), posters=20)) as load,
                ):
                    run = results[f"storing_{name}_{rooms}"] = posted(load)
                where = f"{rooms} rooms" if rooms > 1 else "one room"
                show(f"posts stored, {name}, 20 people in {where}", posts(run), figures(run))


def measure_size() -> None:
    """Compare a room of 1,000 messages and 10 members with one of 1,000,000 and 10,000."""
    found = {}
    for messages, members in ((1_000, 10), (1_000_000, 10_000)):
        with parley(users=members, rooms=1) as (site, keys):
            site.populate(users=members, rooms=1, messages=messages)
            found[members] = (page_time(site, keys[0]), post_time(site, keys[0]))
    (small_page, small_post), (large_page, large_post) = found.values()
    results["size"] = {"page": large_page / small_page, "post": large_post / small_post}
    small, large = "1,000 messages and 10 members", "1,000,000 messages and 10,000 members"
    show(f"room page, {small}", f"{small_page:.1f} ms")
    show(f"room page, {large}", f"{large_page:.1f} ms", f"{large_page / small_page:.2f} (at most 1.2)")
    show(f"post, {small}", f"{small_post:.1f} ms")
    show(f"post, {large}", f"{large_post:.1f} ms", f"{large_post / small_post:.2f} (at most 1.2)")


def page_time(site: Site, key: str) -> float:
    """Return the median response time of the room's page in milliseconds."""
    request = urllib.request.Request(f"{site.url}/rooms/room-001/", headers={"Cookie": f"sessionid={key}"})
    times = []
    for _ in range(120):
        began = time.perf_counter()
        with urllib.request.urlopen(request) as answer:
            answer.read()
        times.append(time.perf_counter() - began)
    return statistics.median(times[20:]) * 1000


def post_time(site: Site, key: str) -> float:
    """Return the median time from sending a post to its acknowledgement in milliseconds."""
    with site.page(key, query=FAR) as socket:
        return statistics.median([answered(socket) for _ in range(200)][50:]) * 1000


def answered(socket: ClientConnection) -> float:
    """Post; return the seconds until it is acknowledged."""
    began = time.perf_counter()
    socket.send(json.dumps({"body": "Hello **everyone**", "client_id": str(uuid.uuid4())}))
    while "<hx-sent" not in str(socket.recv(timeout=60)):
        pass
    return time.perf_counter() - began


def measure_return() -> None:
    """Measure 2,000 pages reconnecting after a restart, each having missed 100 messages, while a user posts."""
    with parley(users=500, rooms=20) as (site, keys):
        site.stop(signal.SIGKILL)
        site.populate(users=500, rooms=20, messages=2000)
        with on_core(SERVER_CORE):
            site.start()
        times: list[float] = []
        are_back = threading.Event()

        def post_meanwhile() -> None:
            with site.page(keys[0], query=FAR) as socket:
                while not are_back.is_set():
                    times.append(answered(socket))

        posting = threading.Thread(target=post_meanwhile)
        posting.start()
        with Load(Plan([site.port], sockets(keys, 2000, 20, "since=0"), together=2000)) as load:
            caught_up = load.tell("wait for all")["seconds"]
            are_back.set()
            posting.join()
        slowest = max(times)
    results["return"] = {"opened": load.opened_in, "caught_up": caught_up, "slowest_post": slowest}
    show("2,000 pages come back at once: all connected after", f"{load.opened_in:.1f} s")
    show("  and have what they missed after", f"{caught_up:.1f} s")
    show("  slowest post meanwhile", f"{slowest * 1000:.0f} ms")


def measure_streams() -> None:
    """Compare 500 live views without scripts to 500 sockets: memory, and CPU time per message and reader."""
    socket_memory, socket_time = cost_of_readers("sockets")
    view_memory, view_time = cost_of_readers("live views")
    results["streams"] = {"memory": view_memory / socket_memory, "time": view_time / socket_time}
    show("memory of a socket, opened just now", f"{socket_memory / 1024:.1f} KiB")
    show("memory of a live view without scripts", f"{view_memory / 1024:.1f} KiB", f"{view_memory / socket_memory:.2f}")
    show("a message to one of 500 sockets, its share of posting included", f"{socket_time:.0f} µs")
    show("a message to one of 500 live views", f"{view_time:.0f} µs", f"{view_time / socket_time:.2f}")


def cost_of_readers(kind: str, count: int = 500, messages: int = 40) -> tuple[float, float]:
    """Return the bytes of memory per reader, and the microseconds of CPU time per message and reader."""
    with parley(users=count // 2 + 1, rooms=1) as (site, keys):
        assert site.process
        Readers(site.port, opened(kind, keys, 100, site.port), b"").close()
        time.sleep(4)  # Daphne forgets closed connections a second or two later
        memory = site.memory()
        readers = Readers(site.port, opened(kind, keys, count, site.port), b'<li id="message-')
        each = (site.memory() - memory) / count
        with site.page(keys[-1], query=FAR) as poster:
            answered(poster)
            readers.wait_for(count)
            before = processor_seconds(site.process.pid)
            for number in range(2, messages + 2):
                answered(poster)
                readers.wait_for(number * count)
            spent = processor_seconds(site.process.pid) - before
        readers.close()
    return each, spent / messages / count * 1e6


def measure_bytes() -> None:
    """Measure a room's page with an empty cache, the next room's, and the cost of compression."""
    with on_core(SERVER_CORE), weight.collected_site() as (site, key):
        # Alternating, so that other work on the machine affects both.
        times = [[weight.processor_time(site, key, encoding) for encoding in ("identity", "gzip")] for _ in range(5)]
        plain, packed = (statistics.median(kind) for kind in zip(*times, strict=True))
        loads = [weight.room_pages(site, key) for _ in range(5)]
    cold, warm = loads[0]
    cold.first_paint, warm.first_paint = (
        statistics.median(load.first_paint for load in kind) for kind in zip(*loads, strict=True)
    )
    results["bytes"] = {"cold": vars(cold), "next": vars(warm), "compressing": packed / plain}
    for name, load, most in (
        ("a room's page of 50 messages, nothing kept", cold, weight.MAX_COLD_BYTES),
        ("the next room's", warm, weight.MAX_NEXT_BYTES),
    ):
        show(name, f"{load.total / 1000:.1f} KB", f"{load.requests} requests (at most {most / 1000:.0f} KB)")
        for kind, size in load.kinds.most_common():
            show(f"  {kind.lower()}", f"{size / 1000:.1f} KB")
        show("  first paint, 150 ms and 1.6 Mbit/s away", f"{load.first_paint:.0f} ms")
    show("processor time of that page, not compressed", f"{plain:.1f} ms")
    show("  compressed", f"{packed:.1f} ms", f"{packed / plain:.2f}")


PARTS: dict[str, Callable[[], None]] = {
    "load": measure_load,
    "delivery": measure_delivery,
    "crowds": measure_crowds,
    "memory": measure_memory,
    "processes": measure_processes,
    "storing": measure_storing,
    "size": measure_size,
    "return": measure_return,
    "streams": measure_streams,
    "bytes": measure_bytes,
}


def main() -> None:
    """Run the parts, print the table and write var/bench.json."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # thousands of sockets
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    pinned = "server and load each on its own core" if SERVER_CORE is not None else "server and load share the cores"
    print(f"Measured on {machine}; {pinned}. A frame is one message for one socket.\n", flush=True)
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
    file = ROOT / "var" / "bench.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"machine": machine, **results}, indent=2))


if __name__ == "__main__":
    main()

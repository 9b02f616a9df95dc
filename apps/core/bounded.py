"""
Work on untrusted input in child processes that are resource-limited and can be killed.

A thread can't be killed, and a single regular expression match blocks the whole process, with its timers and
signals. Here the kernel kills a child that exceeds its CPU time, and a fork server with everything imported replaces it
within milliseconds. Libraries were considered by their documented behaviour, not measured: `pebble` polls for dead
workers, `concurrent.futures` breaks the whole pool, and `multiprocessing`'s fork server imports the main module, here
all of Daphne, into each child.

The child's side is bounded_child.py. Neither imports Django; children get none of the site's environment.
"""

import asyncio
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent.parent

# Timeout for the fork server to import its modules.
START_SECONDS = 20.0
# A child is replaced after this many jobs, so leaks can't add up.
JOBS_PER_CHILD = 1000
LENGTH = struct.Struct(">I")

# Message kinds: a job, and a child's replies, of which all but RESULT end it. A finished result is a single message,
# since each message wakes the pool's thread, which then competes with the site's threads.
JOB, RESULT, DONE, REFUSED, OVER, FAILED = b"j", b"r", b"d", b"x", b"o", b"f"


@dataclass(frozen=True)
class Limits:
    """
    Resource limits for one job.

    Processor seconds are the child's CPU time, enforced by the kernel; wall seconds bound the wait for its reply on a
    busy machine; memory is what it may allocate beyond its size at startup; output is the size of one result. A job
    that has queued for `queue_seconds` is not started.
    """

    processor_seconds: float
    wall_seconds: float
    memory_bytes: int
    output_bytes: int
    queue_seconds: float


class Exceeded(Exception):  # noqa: N818  # like TimeoutError, it is an outcome
    """The job exceeded a limit, or its child died, before there was any result."""


class Busy(Exceeded):
    """The job was not begun: no child was free, or none lives. Another time it may be done."""


class Refused(Exception):  # noqa: N818
    """The function rejected the input; `code` says why. Raised in the child, it is re-raised in the caller."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def send_message(connection: socket.socket, kind: bytes, parts: tuple[bytes, ...]) -> None:
    """Send one message: its kind, the number of parts, and each part prefixed with its length."""
    head = kind + LENGTH.pack(len(parts))
    connection.sendall(head + b"".join(LENGTH.pack(len(part)) + part for part in parts))


class Reader:
    """Reads messages. Raises EOFError when the connection is closed, Exceeded for messages over `max_bytes`."""

    def __init__(self, connection: socket.socket, max_bytes: int) -> None:
        self.connection = connection
        self.max_bytes = max_bytes
        self.buffer = bytearray()
        # When to give up, by time.monotonic(); None means never.
        self.deadline: float | None = None

    def take(self, count: int) -> bytes:
        """Read the next `count` bytes."""
        while len(self.buffer) < count:
            if self.deadline is not None:
                # Zero would make the socket non-blocking.
                self.connection.settimeout(max(0.001, self.deadline - time.monotonic()))
            received = self.connection.recv(1 << 16)
            if not received:
                raise EOFError
            self.buffer += received
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def message(self) -> tuple[bytes, tuple[bytes, ...]]:
        """Read the next message; return its kind and parts."""
        kind = self.take(1)
        left = self.max_bytes
        parts = []
        for _ in range(min(self.number(), 1000)):
            length = self.number()
            left -= length
            if left < 0:
                raise Exceeded("too much came back")
            parts.append(self.take(length))
        return kind, tuple(parts)

    def number(self) -> int:
        """Read the next number."""
        number: int = LENGTH.unpack(self.take(LENGTH.size))[0]
        return number


class Child:
    """A child process as its pool sees it. It ends when its connection closes or a job takes too long."""

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self.connection = connection
        self.reader = Reader(connection, limits.output_bytes)
        self.jobs = 0


class ForkServer:
    """The process that has imported a pool's modules and forks its children."""

    def __init__(self, modules: list[str], limits: Limits) -> None:
        self.control, theirs = socket.socketpair()
        start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from apps.core.bounded_child import serve; serve()"
        arguments = [str(theirs.fileno()), json.dumps(asdict(limits)), *modules]
        # Isolated, with an empty environment: none of the site's secrets are in its memory.
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603  # all of it is ours
                [sys.executable, "-I", "-c", start, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                cwd="/",
                start_new_session=True,  # Ctrl+C is for the server only
            )
        self.control.settimeout(START_SECONDS)
        if self.control.recv(1) != b"!":
            raise OSError("the fork server did not start")

    def fork(self, limits: Limits) -> Child:
        """Return a new child. Raises OSError when the fork server is gone."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [b"f"], [theirs.fileno()])
        return Child(ours, limits)

    def close(self) -> None:
        """Kill the fork server."""
        self.control.close()
        self.process.kill()
        self.process.wait()


class Pool:
    """
    A few children for one kind of work.

    Each child has a thread of its own, so neither the event loop nor a thread holding a database connection waits for
    it. Children are started on first use or by `start`, and replaced when they die.
    """

    def __init__(
        self, *, name: str, modules: list[str], children: int, limits: Limits, jobs_per_child: int = JOBS_PER_CHILD
    ) -> None:
        self.name = name
        self.jobs_per_child = jobs_per_child
        # Number of jobs started.
        self.jobs = 0
        self.modules = modules
        self.limits = limits
        self.threads = ThreadPoolExecutor(max_workers=children, thread_name_prefix=name)
        self.own = threading.local()
        self.lock = threading.Lock()
        self.fork_server: ForkServer | None = None

    def start(self) -> None:
        """Start the fork server in the background, so the first job doesn't have to wait for it."""
        self.threads.submit(self._fork)

    def run(self, function: str, *arguments: bytes) -> tuple[bytes, ...]:
        """
        Run `function` ("package.module:name") with `arguments` in a child and return its result, a tuple of bytes.

        A function may yield intermediate results, each better than the last; if it is killed, the latest counts. Raises
        Exceeded if there is none, and Refused if the function did.
        """
        return self.threads.submit(self._run, function, arguments, time.monotonic()).result()

    async def run_async(self, function: str, *arguments: bytes) -> tuple[bytes, ...]:
        """Do the same as `run` without blocking the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self._run, function, arguments, time.monotonic())

    def _run(self, function: str, arguments: tuple[bytes, ...], asked_at: float) -> tuple[bytes, ...]:
        if time.monotonic() - asked_at > self.limits.queue_seconds:
            logger.warning("No %s child was free within %s s", self.name, self.limits.queue_seconds)
            raise Busy("no child was free")
        self.jobs += 1
        child = self._given(function, arguments)
        result: tuple[bytes, ...] | None = None
        try:
            while True:
                kind, parts = child.reader.message()
                if kind == DONE:
                    return parts
                if kind == REFUSED:
                    raise Refused(parts[0].decode())
                if kind == FAILED:
                    logger.error("%s failed:\n%s", function, parts[0].decode())
                if kind != RESULT:
                    raise Exceeded(parts[0].decode() if parts else "it returned nothing")
                result = parts
        except (Exceeded, EOFError, OSError) as error:
            size = sum(map(len, arguments))
            logger.warning("%s of %d bytes was cut short: %s", function, size, error or "over its processor time")
            child.connection.close()
            self.own.child = None
            if result is None:
                raise Exceeded(str(error)) from None
            return result

    def _given(self, function: str, arguments: tuple[bytes, ...]) -> Child:
        """Send the job to this thread's child, replacing one that has died or is used up; return the child."""
        child: Child | None = getattr(self.own, "child", None)
        for _ in range(2):
            if child is None or child.jobs >= self.jobs_per_child:
                if child:
                    child.connection.close()
                child = self.own.child = self._fork()
            child.jobs += 1
            child.reader.deadline = time.monotonic() + self.limits.wall_seconds
            try:
                send_message(child.connection, JOB, (function.encode(), *arguments))
            except OSError:
                child.connection.close()
                child = None
            else:
                return child
        raise Busy("no child lives")

    def _fork(self) -> Child:
        """Fork a new child, restarting the fork server if it is gone. Raises Exceeded if that fails."""
        with self.lock:
            for _ in range(2):
                try:
                    self.fork_server = self.fork_server or ForkServer(self.modules, self.limits)
                    return self.fork_server.fork(self.limits)
                except OSError as error:
                    logger.warning("The fork server for %s is started again: %s", self.name, error)
                    if self.fork_server:
                        self.fork_server.close()
                    self.fork_server = None
        raise Busy("no child could be started")

"""The child's side of bounded.py: a fork server, and children with resource limits."""

import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

from apps.core.bounded import DONE, FAILED, OVER, REFUSED, RESULT, Exceeded, Limits, Reader, Refused, send_message

# Serving pages has priority.
NICENESS = 5
# Safety net: callers have smaller limits of their own; a child ends if it is sent more.
MAX_INPUT_BYTES = 64 * 1024 * 1024
MAX_TRACEBACK_CHARACTERS = 4000
# Cache of resolved functions by name.
_functions: dict[bytes, Callable[..., Any]] = {}


def serve() -> None:
    """Import the modules named on the command line, report ready, then fork a child for each connection received."""
    descriptor, limits, *modules = sys.argv[1:]
    control = socket.socket(fileno=int(descriptor))
    for name in modules:
        importlib.import_module(name)
    # After the imports: a user returning right after a start waits for them too.
    os.nice(NICENESS)
    # Exempt existing objects from garbage collection in the children, so their memory stays shared.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    control.sendall(b"!")
    while True:
        word, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not word:
            return  # the parent process has ended
        connection = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            control.close()
            work(connection, Limits(**json.loads(limits)))
            os._exit(0)
        connection.close()


def work(connection: socket.socket, limits: Limits) -> None:
    """Run jobs until the connection closes."""
    limit_this_process(limits)
    reader = Reader(connection, MAX_INPUT_BYTES)
    while True:
        try:
            _, (name, *arguments) = reader.message()
        except (EOFError, OSError):
            return
        # Both timers' signals kill the process by default, whatever it is doing.
        signal.setitimer(signal.ITIMER_PROF, limits.processor_seconds)
        signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)
        answer = do_job(connection, name, arguments, limits)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            send_message(connection, *answer)
        except OSError:
            return
        if answer[0] in {OVER, FAILED}:
            return  # the process may be in any state now


def limit_this_process(limits: Limits) -> None:
    """Limit memory; forbid core dumps and writing files."""
    unlimited = resource.RLIM_INFINITY
    for what, most in [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)]:
        resource.setrlimit(what, (most, most))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, unlimited))


def do_job(
    connection: socket.socket, name: bytes, arguments: list[bytes], limits: Limits
) -> tuple[bytes, tuple[bytes, ...]]:
    """Run the job, sending each result it yields; return the message that ends it."""
    try:
        outcome = function_called(name)(*arguments)
        if isinstance(outcome, Generator):
            outcome = sent_while_it_works(connection, outcome, limits)
        return DONE, checked(outcome, limits)
    except Refused as refusal:
        return REFUSED, (refusal.code.encode(),)
    except Exceeded as error:
        return OVER, (str(error).encode(),)
    except (MemoryError, RecursionError) as error:
        return OVER, (type(error).__name__.encode(),)
    except Exception:
        # A bug of ours, logged by the parent process.
        return FAILED, (traceback.format_exc()[-MAX_TRACEBACK_CHARACTERS:].encode(errors="replace"),)


def sent_while_it_works(
    connection: socket.socket, work: Generator[tuple[bytes, ...], None, tuple[bytes, ...]], limits: Limits
) -> tuple[bytes, ...]:
    """Send each yielded result, in case the job is killed later; return the final one."""
    while True:
        try:
            parts = next(work)
        except StopIteration as end:
            return cast(tuple[bytes, ...], end.value)
        send_message(connection, RESULT, checked(parts, limits))


def checked(parts: tuple[bytes, ...], limits: Limits) -> tuple[bytes, ...]:
    """Return the result, or raise Exceeded if it is too large."""
    if sum(map(len, parts)) > limits.output_bytes:
        raise Exceeded("its result is too large")
    return parts


def function_called(name: bytes) -> Callable[..., Any]:
    """Return the function named "package.module:name"."""
    if name not in _functions:
        module, _, attribute = name.decode().partition(":")
        _functions[name] = getattr(importlib.import_module(module), attribute)
    return _functions[name]

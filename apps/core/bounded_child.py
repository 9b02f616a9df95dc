"""The child's side of bounded.py: a fork server, and the children that it forks, each with its limits set."""

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

# Processor time goes to pages first.
NICENESS = 5
# An argument is never larger: the caller checks sizes of its own, this one ends a child that is told nonsense.
MAX_INPUT_BYTES = 64 * 1024 * 1024
MAX_TRACEBACK_CHARACTERS = 4000
# The functions by name, each looked up once.
_functions: dict[bytes, Callable[..., Any]] = {}


def serve() -> None:
    """Import the modules named on the command line, say so, then fork a child for each connection that comes."""
    descriptor, limits, *modules = sys.argv[1:]
    control = socket.socket(fileno=int(descriptor))
    for name in modules:
        importlib.import_module(name)
    # Not before: whoever comes back right after a start waits for these imports with everybody else.
    os.nice(NICENESS)
    # What is there now is never looked at by a child's garbage collector, and so stays shared with it.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for
    control.sendall(b"!")
    while True:
        word, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not word:
            return  # the site's process has ended
        connection = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            control.close()
            work(connection, Limits(**json.loads(limits)))
            os._exit(0)
        connection.close()


def work(connection: socket.socket, limits: Limits) -> None:
    """Do the jobs that come, until the connection ends."""
    limit_this_process(limits)
    reader = Reader(connection, MAX_INPUT_BYTES)
    while True:
        try:
            _, (name, *arguments) = reader.message()
        except (EOFError, OSError):
            return
        # The default action of both timers' signals ends the process, whatever it is in the middle of.
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
            return  # in what state this process is now, no one knows


def limit_this_process(limits: Limits) -> None:
    """Memory, and what a job has no business with: writing files, dumps of memory."""
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
    """Send what the function yields; returns the message that ends the job, with what it returned."""
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
        # A mistake of ours, which the site's process logs.
        return FAILED, (traceback.format_exc()[-MAX_TRACEBACK_CHARACTERS:].encode(errors="replace"),)


def sent_while_it_works(
    connection: socket.socket, work: Generator[tuple[bytes, ...], None, tuple[bytes, ...]], limits: Limits
) -> tuple[bytes, ...]:
    """Send what it yields, so that this is there should it be ended; returns what it returns."""
    while True:
        try:
            parts = next(work)
        except StopIteration as end:
            return cast(tuple[bytes, ...], end.value)
        send_message(connection, RESULT, checked(parts, limits))


def checked(parts: tuple[bytes, ...], limits: Limits) -> tuple[bytes, ...]:
    """A result, unless it is too large."""
    if sum(map(len, parts)) > limits.output_bytes:
        raise Exceeded("its result is too large")
    return parts


def function_called(name: bytes) -> Callable[..., Any]:
    """The function that a caller names as "package.module:name"."""
    if name not in _functions:
        module, _, attribute = name.decode().partition(":")
        _functions[name] = getattr(importlib.import_module(module), attribute)
    return _functions[name]

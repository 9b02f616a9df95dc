"""Real servers for tests: Redis, PostgreSQL, and the site itself under Daphne."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.install import postgres_folder, redis_server

ROOT = Path(__file__).parent.parent
STARTED = 30  # seconds a server may take to answer


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens on the port. Raises RuntimeError where the process ended or took too long."""
    deadline = time.monotonic() + STARTED
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with code {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """End a process and wait until it is gone."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Redis:
    """A Redis server of its own, on a port that stays the same when it is killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        program = redis_server()
        assert program
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        wait_for_port(self.port, self.process)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process."""
        stop(self.process, how)

    def __enter__(self) -> "Redis":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server of its own; gives the URL of an empty database."""
    programs = postgres_folder()
    assert programs
    port = free_port()
    folder = tempfile.mkdtemp(prefix="parley-pg-")
    # PostgreSQL refuses to run as root; Debian's package brings a user for it.
    account = "postgres" if os.geteuid() == 0 else None
    if account:
        shutil.chown(folder, account, account)
    try:
        subprocess.run(
            [programs / "initdb", "--auth=trust", "--username=parley", "--no-sync", "--encoding=UTF8", "-D", folder],
            user=account,
            group=account,
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        process = subprocess.Popen(
            [programs / "postgres", "-D", folder, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"],
            user=account,
            group=account,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        try:
            wait_for_port(port, process)
            yield f"postgres://parley@127.0.0.1:{port}/postgres"
        finally:
            stop(process, signal.SIGINT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Site:
    """The site with a data folder of its own, served by one Daphne process on a port that stays the same."""

    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="parley-")))
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"daphne-{self.port}.log"

    def variables(self) -> dict[str, str]:
        """The environment of the site's processes: nothing of the tests' own settings."""
        own = {"PORT": str(self.port), "DATA_DIR": str(self.folder), **self.environment}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, **own}

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py; gives what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.variables(),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    def shell(self, code: str) -> str:
        """Run Python with the site's models at hand; gives what it printed."""
        return self.manage("shell", "--verbosity", "0", "--command", code)

    def populate(self, *, users: int = 5, rooms: int = 2, messages: int = 0) -> list[str]:
        """Fill the site; gives the session keys of its users, in order."""
        file = self.folder / "sessions"
        numbers = ["--users", str(users), "--rooms", str(rooms), "--messages", str(messages)]
        self.manage("populate", *numbers, "--sessions", str(file))
        return file.read_text().splitlines()

    def start(self) -> "Site":
        """Start the process and wait until it is ready."""
        command = [sys.executable, "-m", "daphne", "--verbosity", "0", "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--websocket_timeout", "-1"]
        command += ["--websocket-max-message-size", "131072", "--websocket-max-frame-size", "131072"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "config.asgi:application"], cwd=ROOT, env=self.variables(), stdout=log, stderr=log
            )
        wait_for_port(self.port, self.process)
        deadline = time.monotonic() + STARTED
        while not self.is_ready():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def is_ready(self) -> bool:
        """Whether /readyz answers with 200."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process; the data stays."""
        if self.process:
            stop(self.process, how)
            self.process = None

    def __enter__(self) -> "Site":
        self.manage("migrate", "--verbosity", "0")
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

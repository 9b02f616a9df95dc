"""Real servers for tests: Redis, PostgreSQL, and the site itself under Daphne."""

import atexit
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

import psycopg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from apps.live.frames import VERSION
from tests.install import postgres_folder, redis_server
from tests.provider import __main__ as provider
from tests.scenes import as_json

# In the address of a page's socket.
FRAMES = f"frames={VERSION}"

P = ParamSpec("P")
T = TypeVar("T")
ROOT = Path(__file__).parent.parent
DATABASE = "parley.sqlite3"  # in a site's data folder
START_SECONDS = 30  # until a server must answer


def free_port() -> int:
    """
    A loopback port that nothing listens on.

    Not from the range for outgoing connections: while a server is down, one of those might take its port.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something listens on the port. Raises RuntimeError if the process ended or took too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with code {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """Stop a process and wait for its end."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Redis:
    """A separate Redis server, on a port that stays the same when it is killed and restarted."""

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


class Postgres:
    """A separate PostgreSQL server, on a port that stays the same when it is restarted."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"postgres://parley@127.0.0.1:{self.port}/postgres"
        # PostgreSQL refuses to run as root; Debian's package creates a user for it.
        self.account = "postgres" if os.geteuid() == 0 else None

    def __enter__(self) -> "Postgres":
        self.folder = tempfile.mkdtemp(prefix="parley-pg-")
        if self.account:
            shutil.chown(self.folder, self.account, self.account)
        self.run(
            "initdb", "--auth=trust", "--username=parley", "--no-sync", "--encoding=UTF8", "-D", self.folder
        ).wait()
        self.start()
        return self

    def run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of PostgreSQL's programs."""
        programs = postgres_folder()
        assert programs
        return subprocess.Popen(
            [programs / program, *arguments],
            user=self.account,
            group=self.account,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )

    def start(self) -> None:
        """Start the server and wait until it answers, which is some time after it listens."""
        self.process = self.run("postgres", "-D", self.folder, "-p", str(self.port), "-h", "127.0.0.1", "-k", "", "-F")
        wait_for_port(self.port, self.process)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it accepts connections."""
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it as an operator's restart does: clients are disconnected, committed data is kept."""
        stop(self.process, signal.SIGINT)

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Provider:
    """An OpenID Connect provider in its own process (tests/provider), for one site."""

    name = "Example School"

    def __init__(self, callback: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.callback = callback
        self.folder = Path(tempfile.mkdtemp(prefix="parley-provider-"))

    def settings(self) -> dict[str, str]:
        """The site's environment variables for signing in here."""
        return {
            "OIDC_SERVER_URL": self.url,
            "OIDC_CLIENT_ID": provider.CLIENT["id"],
            "OIDC_CLIENT_SECRET": provider.CLIENT["secret"],
            "OIDC_NAME": self.name,
        }

    def start(self) -> None:
        """Start the process and wait until it listens."""
        program = [sys.executable, "-m", "tests.provider", str(self.port), self.callback]
        environment = {**os.environ, "PROVIDER_DATABASE": str(self.folder / "provider.sqlite3")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(program, cwd=ROOT, env=environment, stdout=log, stderr=log)
        wait_for_port(self.port, self.process)

    def stop(self) -> None:
        """End the process; its accounts stay."""
        stop(self.process)

    def __enter__(self) -> "Provider":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def migrated_file() -> Path:
    """A migrated SQLite database, created once for all sites of a run, since migrating takes seconds."""
    site = Site()
    atexit.register(shutil.rmtree, site.folder, ignore_errors=True)
    site.manage("migrate", "--verbosity", "0")
    return site.folder / DATABASE


@dataclass
class Site:
    """A site with its own data folder, served by one Daphne process on a port that stays the same."""

    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="parley-")))
    process: subprocess.Popen[bytes] | None = None
    application: str = "config.asgi:application"
    # Where its users may also sign in.
    provider: Provider | None = None
    # Tokens of invitation links for its tests.
    invitations: list[str] = field(default_factory=list)

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
        """The environment of the site's processes, without the tests' own settings."""
        own = {"PORT": str(self.port), "DATA_DIR": str(self.folder), **self.environment}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, **own}

    def python(self, *arguments: str, given: str = "") -> str:
        """Run Python in the site's environment with this on standard input; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.variables(),
            input=given,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py; returns what it printed."""
        return self.python("manage.py", *arguments)

    def run(self, scene: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function of tests/scenes in a process of the site; returns what it returned."""
        given = as_json([list(arguments), named])
        result: T = json.loads(self.python("-m", "tests.scenes", scene.__module__, scene.__qualname__, given=given))
        return result

    def populate(self, *, users: int = 5, rooms: int = 2, messages: int = 0, texts: Path | None = None) -> list[str]:
        """Fill the site, with these texts in order or with any; returns its users' session keys, in order."""
        file = self.folder / "sessions"
        numbers = ["--users", str(users), "--rooms", str(rooms), "--messages", str(messages)]
        given = ["--texts", str(texts)] if texts else []
        self.manage("populate", *numbers, *given, "--sessions", str(file))
        return file.read_text().splitlines()

    def start(self) -> "Site":
        """Start the process and wait until it is ready."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def launch(self) -> None:
        """Start the process and wait until it listens, ready or not."""
        endpoint = f"tcp:port={self.port}:interface=127.0.0.1:backlog=1024"
        command = [sys.executable, "-m", "daphne", "--verbosity", "0", "--endpoint", endpoint]
        command += ["--websocket_timeout", "-1", "--websocket_connect_timeout", "20"]
        command += ["--websocket-max-message-size", "131072", "--websocket-max-frame-size", "131072"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, self.application], cwd=ROOT, env=self.variables(), stdout=log, stderr=log
            )
        wait_for_port(self.port, self.process)

    def is_ready(self) -> bool:
        """Whether /readyz says so; further lines say what the site does without."""
        return self.readiness().partition("\n")[0] == "ok"

    def readiness(self) -> str:
        """What /readyz says; empty if it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return str(answer.read().decode().strip())
        except urllib.error.HTTPError as error:
            return error.read().decode().strip()
        except (urllib.error.URLError, OSError):
            return ""

    def page(self, key: str, slug: str = "room-001", query: str = "since=9999") -> ClientConnection:
        """Open a socket of a room's page with this session."""
        return connect(
            f"{self.socket_url}/ws/rooms/{slug}/?{FRAMES}&{query}",
            additional_headers={"Cookie": f"sessionid={key}"},
            origin=Origin(self.url),
            compression=None,
            close_timeout=1,
        )

    def memory(self) -> int:
        """How many bytes of memory the process uses."""
        assert self.process
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """The number of files and sockets that the process has open."""
        assert self.process
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process; the data stays."""
        if self.process:
            stop(self.process, how)
            self.process = None

    def __enter__(self) -> "Site":
        if "DATABASE_URL" in self.environment:
            self.manage("migrate", "--verbosity", "0")
        else:
            shutil.copy(migrated_file(), self.folder / DATABASE)
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

"""A real Orca on a virtual screen, and what it says."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType

SPOKEN = re.compile(r"^(\d\d):(\d\d):(\d\d\.\d+) - SPEECH OUTPUT: '(.*)'\{", re.DOTALL)
# Orca's default is to read a new page from the top, which users may turn off; and it buffers its log.
CUSTOMS = """
import orca.debug
import orca.settings
orca.settings.sayAllOnLoad = False
orca.debug.debugFile.reconfigure(line_buffering=True)
"""
SILENCE = 3.0  # seconds without speech after which Orca has finished
LONGEST = 20.0  # seconds after which it must have finished


class Orca:
    """Orca, with the X server and window manager it needs. Run under dbus-run-session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "orca.log"
        self.display = f":{os.getpid() % 1000 + 1000}"
        self.processes: list[subprocess.Popen[bytes]] = []
        home, modules, runtime = folder / "home", folder / "modules", folder / "runtime"
        (home / ".local" / "share" / "orca").mkdir(parents=True)
        (home / ".local" / "share" / "orca" / "orca-customizations.py").write_text(CUSTOMS)
        # An empty module in place of the speech server's, since Orca would wait for a server that isn't there.
        (modules / "speechd").mkdir(parents=True)
        (modules / "speechd" / "__init__.py").touch()
        runtime.mkdir(mode=0o700)
        self.environment = {
            **os.environ,
            "DISPLAY": self.display,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": str(modules),
        }

    def start(self, *command: str, pause: float = 1.0) -> None:
        """Start a program and give it time: none of them says when it is ready."""
        quiet = subprocess.DEVNULL
        self.processes.append(subprocess.Popen(command, env=self.environment, stdout=quiet, stderr=quiet))
        time.sleep(pause)

    def __enter__(self) -> "Orca":
        self.start("Xvfb", self.display, "-screen", "0", "1280x1000x24")
        self.start("openbox")
        self.start("/usr/libexec/at-spi-bus-launcher", "--launch-immediately")
        self.start("orca", "--replace", f"--debug-file={self.log}", pause=0)
        Ear(self, 0).until("Screen reader on.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> list[tuple[float, str]]:
        """Everything said so far, with the second of the day."""
        if not self.log.exists():
            return []
        found = []
        for part in re.split(r"\n(?=\d\d:\d\d:\d\d\.\d+ - )", self.log.read_text(errors="replace")):
            if match := SPOKEN.match(part):
                hours, minutes, seconds, text = match.groups()
                found.append((int(hours) * 3600 + int(minutes) * 60 + float(seconds), text.strip()))
        return [(moment, text) for moment, text in found if text]

    def listen(self) -> "Ear":
        """What is said from now on."""
        return Ear(self, len(self.said()))

    def press(self, *keys: str) -> None:
        """Press keys of the X keyboard, which Orca receives first."""
        subprocess.run(["xdotool", "key", "--delay", "80", *keys], env=self.environment, check=True)


class Ear:
    """What Orca says from a moment on."""

    def __init__(self, orca: Orca, start: int) -> None:
        self.orca = orca
        self.start = start

    def until(self, text: str) -> None:
        """Wait until something containing this text has been said."""
        deadline = time.monotonic() + LONGEST
        while not any(text in line for _, line in self.orca.said()[self.start :]):
            assert time.monotonic() < deadline, self.orca.said()[self.start :]
            time.sleep(0.05)

    def lines(self) -> list[str]:
        """What was said before a silence."""
        deadline = time.monotonic() + LONGEST
        known, quiet_since = -1, time.monotonic()
        while time.monotonic() - quiet_since < SILENCE and time.monotonic() < deadline:
            count = len(self.orca.said())
            if count != known:
                known, quiet_since = count, time.monotonic()
            time.sleep(0.05)
        return [text for _, text in self.orca.said()[self.start :]]

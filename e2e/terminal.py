"""A text browser in a terminal, driven by keys."""

import os
import pty
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

import pyte

COLUMNS, LINES = 80, 400  # high enough for whole pages; w3m uses 200 of them
SETTLED = 0.4  # seconds without a change after which a page counts as drawn
PATIENCE = 15.0  # seconds until something must be on the screen


class Terminal:
    """A program with a screen and a keyboard."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.keyboard, terminal = pty.openpty()
        os.set_blocking(self.keyboard, True)
        sized = {"TERM": "linux", "LANG": "C.UTF-8", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
        subprocess.run(["stty", "rows", str(LINES), "cols", str(COLUMNS)], stdin=terminal, check=True)
        self.process = subprocess.Popen(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={"PATH": os.environ["PATH"], **sized, **environment},
            start_new_session=True,
        )
        os.close(terminal)
        self.changed = threading.Condition()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        """Show what the program writes, until it ends."""
        while True:
            try:
                data = os.read(self.keyboard, 65536)
            except OSError:
                return
            with self.changed:
                self.stream.feed(data)
                self.changed.notify_all()

    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def expect(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        deadline = time.monotonic() + PATIENCE
        with self.changed:
            while not all(text in self.text() for text in texts):
                left = deadline - time.monotonic()
                assert left > 0, f"{texts} not on the screen:\n{self.text().strip()}"
                self.changed.wait(left)

    def settle(self) -> None:
        """Wait until the screen has stopped changing: neither program says when it has drawn the whole page."""
        with self.changed:
            while self.changed.wait(SETTLED):
                pass

    def press(self, keys: str) -> None:
        """Press keys, one after another."""
        os.write(self.keyboard, keys.encode())

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.keyboard)


def writes(folder: Path, text: str) -> Path:
    """Create an editor that replaces any file with the text, for the textareas of text browsers; returns its path."""
    editor = folder / "editor"
    editor.write_text(f'#!/bin/sh\nprintf \'%s\\n\' "{text}" > "$1"\n')
    editor.chmod(0o755)
    return editor

"""
Browsers that Playwright drives in patched builds only: Firefox, by WebDriver BiDi, and WebKitGTK, by WebDriver.

Both standards (https://www.w3.org/TR/webdriver-bidi/, https://www.w3.org/TR/webdriver2/) describe keys and the pointer
alike, so that the two differ only in how a command is sent.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests import install
from tests.servers import free_port, stop, wait_for_port

PATIENCE = 10.0  # seconds in which something must become true
ENTER, ESCAPE, END, TAB = "\ue007", "\ue00c", "\ue010", "\ue004"


class PageGoneError(Exception):
    """The page was left while evaluating an expression."""


class Browser(ABC):
    """One window with one page."""

    @abstractmethod
    def navigate(self, url: str) -> None:
        """Have the browser open an address; returns immediately."""

    @abstractmethod
    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, by way of JSON."""

    @abstractmethod
    def perform(self, source: dict[str, Any]) -> None:
        """Perform the actions of a keyboard or a pointer."""

    @abstractmethod
    def picture(self) -> bytes:
        """A screenshot of the page, as a PNG."""

    @abstractmethod
    def open_tab(self) -> None:
        """Open another tab, which hides the current page; all that follows happens there."""

    @abstractmethod
    def close_tab(self) -> None:
        """Close it, and return to the earlier page."""

    @abstractmethod
    def close(self) -> None:
        """End the browser."""

    def go(self, url: str, *, ends: bool = True) -> None:
        """Open an address; returns when the page is loaded, or has a body if it never `ends`."""
        state = "complete" if ends else "loading"
        self.navigate(url)
        self.until(
            f"location.href === {json.dumps(url)} && document.readyState === '{state}' && document.body !== null"
        )

    def press(self, keys: str) -> None:
        """Press one key after another."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.perform({"type": "key", "id": "keyboard", "actions": strokes})

    def click(self, selector: str) -> None:
        """Click the centre of an element."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        x, y = self.evaluate(
            f"(one => {{ one.scrollIntoView({{block: 'center'}}); const box = one.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2].map(Math.round); })"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        move = {"type": "pointerMove", "x": x, "y": y, "duration": 0}
        strokes = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.perform({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": strokes})

    def fill(self, selector: str, text: str) -> None:
        """Click into a field and type."""
        self.click(selector)
        self.press(text)

    def until(self, expression: str, patience: float = PATIENCE) -> Any:
        """Wait until an expression is true in the page; returns its value."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with suppress(PageGoneError):
                if value := self.evaluate(expression):
                    return value
            time.sleep(0.03)
        raise AssertionError(f"never true: {expression}\n{self.evaluate('document.body.innerText')}")


# Headless Firefox has no focus and no mouse; a mouse points finely (2) and hovers (4).
AS_WITH_A_WINDOW = [
    'user_pref("focusmanager.testmode", true);',
    'user_pref("ui.primaryPointerCapabilities", 6);',
    'user_pref("ui.allPointerCapabilities", 6);',
]


class Firefox(Browser):
    """The installed Firefox, headless, optionally without JavaScript."""

    def __init__(self, *, javascript: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="parley-firefox-"))
        preferences = [*AS_WITH_A_WINDOW, f'user_pref("javascript.enabled", {json.dumps(javascript)});']
        (self.folder / "user.js").write_text("\n".join(preferences))
        # A sandbox beside the page, where a test may run scripts even if the page may not.
        self.target = {} if javascript else {"sandbox": "test"}
        port = free_port()
        program = install.firefox()
        assert program
        self.process = subprocess.Popen(
            [program, "--headless", "--no-remote", "--profile", self.folder, f"--remote-debugging-port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_port(port, self.process)
        self.stack = ExitStack()
        self.connection = self.stack.enter_context(
            connect(f"ws://127.0.0.1:{port}/session", max_size=None, compression=None)
        )
        self.count = 0
        self.command("session.new", {"capabilities": {}})
        # A new window, since the first one never gets the focus.
        self.context = self.command("browsingContext.create", {"type": "window"})["context"]
        self.command("browsingContext.activate", {"context": self.context})

    def command(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Execute a command; returns its result."""
        self.count += 1
        self.connection.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            answer: dict[str, Any] = json.loads(self.connection.recv(timeout=30))
            if answer.get("id") == self.count:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result

    def navigate(self, url: str) -> None:
        self.command("browsingContext.navigate", {"context": self.context, "url": url, "wait": "none"})

    def evaluate(self, expression: str) -> Any:
        parameters = {
            "expression": f"JSON.stringify({expression}) ?? 'null'",
            "target": {"context": self.context, **self.target},
            "awaitPromise": False,
        }
        result = self.command("script.evaluate", parameters)
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"])

    def perform(self, source: dict[str, Any]) -> None:
        self.command("input.performActions", {"context": self.context, "actions": [source]})

    def open_tab(self) -> None:
        self.before = self.context
        parameters = {"type": "tab", "referenceContext": self.context}
        self.context = self.command("browsingContext.create", parameters)["context"]
        self.command("browsingContext.activate", {"context": self.context})

    def close_tab(self) -> None:
        self.command("browsingContext.close", {"context": self.context})
        self.context = self.before
        self.command("browsingContext.activate", {"context": self.context})

    def picture(self) -> bytes:
        answer = self.command("browsingContext.captureScreenshot", {"context": self.context})
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        self.stack.close()
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class Screen:
    """A virtual screen, for a browser that needs one."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x900x24"]
        self.process = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as number:
            self.name = f":{number.readline().strip()}"

    def close(self) -> None:
        stop(self.process)


class WebKit(Browser):
    """WebKitGTK, in the small browser it ships for tests, on a virtual screen."""

    def __init__(self) -> None:
        self.port = free_port()
        self.screen = Screen()
        program = shutil.which("WebKitWebDriver")
        assert program
        self.process = subprocess.Popen(
            [program, f"--port={self.port}"],
            env={**os.environ, "DISPLAY": self.screen.name},
            stderr=subprocess.DEVNULL,
        )
        wait_for_port(self.port, self.process)
        options = {"binary": str(install.webkit()), "args": ["--automation"]}
        capabilities = {"alwaysMatch": {"webkitgtk:browserOptions": options, "pageLoadStrategy": "none"}}
        self.session = ""
        answer = self.command("POST", "", {"capabilities": capabilities})
        self.session = f"/{answer['sessionId']}"

    def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Execute a command; returns its value."""
        url = f"http://127.0.0.1:{self.port}/session{self.session}{path}"
        data = json.dumps(body).encode() if body is not None else None
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=30) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            raise (PageGoneError if "no such frame" in text else AssertionError)(f"{path} {body}: {text}") from None

    def navigate(self, url: str) -> None:
        self.command("POST", "/url", {"url": url})

    def evaluate(self, expression: str) -> Any:
        script = f"return JSON.stringify({expression}) ?? 'null'"
        return json.loads(self.command("POST", "/execute/sync", {"script": script, "args": []}))

    def perform(self, source: dict[str, Any]) -> None:
        self.command("POST", "/actions", {"actions": [source]})

    def open_tab(self) -> None:
        self.before = self.command("GET", "/window")
        self.command("POST", "/window", {"handle": self.command("POST", "/window/new", {"type": "tab"})["handle"]})

    def close_tab(self) -> None:
        self.command("DELETE", "/window")
        self.command("POST", "/window", {"handle": self.before})

    def picture(self) -> bytes:
        return base64.b64decode(self.command("GET", "/screenshot"))

    def close(self) -> None:
        try:
            self.command("DELETE", "")
        finally:
            stop(self.process)
            self.screen.close()

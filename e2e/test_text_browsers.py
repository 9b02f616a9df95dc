"""
w3m and lynx: sign up, find a room, join, read, page, write, edit; and what a page says from top to bottom.

The transcripts are in e2e/transcripts. TRANSCRIPTS=write updates them: read them before you commit.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import PASSWORD
from e2e.terminal import Terminal, writes
from tests.scenes import talk
from tests.servers import Site

TRANSCRIPTS = Path(__file__).parent / "transcripts"
BROWSERS = ["w3m", "lynx"]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        site.populate(users=3, rooms=2, messages=120)
        yield site


def need(program: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


class W3m:
    """w3m: moves by searching, and opens an editor for a textarea."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.editor = writes(home, "")

    def open(self, address: str) -> Terminal:
        options = ["-cookie", "-o", "auto_image=0", "-o", f"editor={self.editor}"]
        self.terminal = Terminal(["w3m", *options, address], {"HOME": str(self.home)})
        return self.terminal

    def find(self, text: str) -> None:
        """Move the cursor to the last occurrence of this text on the page."""
        self.terminal.settle()
        self.terminal.press(f"G?{text}\r")

    def follow(self, text: str) -> None:
        self.find(text)
        self.terminal.press("\r")

    def fill(self, label: str, text: str) -> None:
        self.terminal.settle()
        self.terminal.press(f"g/{label}\r\t\r")
        self.terminal.expect("TEXT:") if label != "Password" else self.terminal.expect("Password:")
        self.terminal.press(f"{text}\r")

    def write(self, label: str, text: str) -> None:
        self.terminal.settle()
        writes(self.home, text)
        self.terminal.press(f"G?^{label}\r\t\r")
        self.terminal.expect(f"[{text}")

    def push(self, name: str) -> None:
        self.follow(name)

    def show_end(self) -> None:
        """Go to the end of the page: w3m shows no more than 200 lines of it at once."""
        self.terminal.settle()
        self.terminal.press("G")


class Lynx:
    """lynx: numbers all links and fields, in the order of the Tab key."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def open(self, address: str) -> Terminal:
        options = ["-tna", "-number_fields", "-accept_all_cookies", "-nopause", "-nocolor"]
        self.terminal = Terminal(["lynx", *options, address], {"HOME": str(self.home)})
        return self.terminal

    def show_end(self) -> None:
        """Do nothing: the whole page is on the screen."""

    def go(self, pattern: str) -> None:
        """Go to the last element whose number the pattern finds: from the top, by the Tab key."""
        self.terminal.settle()
        found = re.findall(pattern, self.terminal.text(), re.DOTALL)
        assert found, self.terminal.text().strip()
        self.terminal.press("\x01" + "\t" * (int(found[-1]) - 1 - self.lines_below(int(found[-1]))))

    def lines_below(self, number: int) -> int:
        """How many numbers before this one are further lines of a textarea, which the Tab key skips."""
        boxes = re.findall(r"\n\s+\[\d+\][^\n\[]*_{5}(?=\n\s+\[(\d+)\][^\n\[]*_{5})", self.terminal.text())
        return sum(int(one) < number for one in boxes)

    def follow(self, text: str) -> None:
        self.go(rf"\[(\d+)\]{text}")
        self.terminal.press("\r")

    def fill(self, label: str, text: str) -> None:
        self.go(rf"\n\s+{label}\b.*?\[(\d+)\]_")
        self.terminal.press(f"\r{text}\t")

    def write(self, label: str, text: str) -> None:
        self.go(rf"{label}.*?\[(\d+)\][^\n]*")
        # Into the box, empty it, type, and out again.
        self.terminal.press(f"\r\x15{text}\t")
        self.terminal.expect(text)

    def push(self, name: str) -> None:
        self.go(rf"\(\[(\d+)\]BUTTON\) {name}")
        self.terminal.press("\r")


@pytest.mark.parametrize("name", BROWSERS)
def test_signing_up_finding_a_room_reading_writing_and_editing(site: Site, tmp_path: Path, name: str) -> None:
    need(name)
    browser: W3m | Lynx = W3m(tmp_path) if name == "w3m" else Lynx(tmp_path)
    person = f"reader-{name}"
    with browser.open(f"{site.url}/accounts/signup/") as terminal:
        terminal.expect("Sign up", "Password", "Language")
        browser.fill("Username", person)
        terminal.expect(person)
        browser.fill("Password", PASSWORD)
        browser.push("Sign up")
        terminal.expect("Your rooms", "Lobby")
        browser.follow("Find a room")
        terminal.expect("Part of its name", "Room 002")
        browser.push("Join Room 002")
        terminal.expect("Older messages")
        browser.follow("Older messages")
        terminal.expect("This is where Room 002 begins.")
        browser.follow("Newest messages")
        terminal.expect("Older messages")
        browser.write("Message to", f"Hello from {name}")
        browser.push("Send")
        terminal.expect(f"Hello from {name}", person)
        assert site.run(talk.newest_body) == f"Hello from {name}"
        browser.follow("[0-9:]+ Actions" if name == "lynx" else "Actions")
        terminal.expect("Delete this message")
        browser.write("Message", f"Greetings from {name}")
        browser.push("Save")
        terminal.expect(f"Greetings from {name}")
        browser.show_end()
        terminal.expect(f"Greetings from {name}", "edited")
        assert site.run(talk.newest_body) == f"Greetings from {name}"


DUMPS = {
    "w3m": ["w3m", "-dump", "-cols", "80"],
    "lynx": ["lynx", "-dump", "-nolist", "-width=80", "-display_charset=utf-8"],
}


def dump(browser: str, address: str, home: Path) -> str:
    """The page as the browser prints it, with a fixed date and time."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "vt100", "LANG": "C.UTF-8"}
    done = subprocess.run([*DUMPS[browser], address], env=environment, capture_output=True, text=True, check=True)
    text = re.sub(r"\b\w+day, \d+ \w+ \d{4}\b", "Monday, 23 November 2026", done.stdout)
    return re.sub(r"\b\d\d:\d\d\b", "15:30", text).rstrip() + "\n"


@pytest.mark.parametrize("name", BROWSERS)
def test_pages_read_from_top_to_bottom_like_their_transcripts(site: Site, tmp_path: Path, name: str) -> None:
    need(name)
    if "Library" not in dump(name, f"{site.url}/", tmp_path):
        site.run(talk.create_library)
    for page, path in (("welcome", "/"), ("room", "/rooms/library/"), ("keys", "/keys/")):
        shown, file = dump(name, f"{site.url}{path}", tmp_path), TRANSCRIPTS / f"{name}-{page}.txt"
        if os.environ.get("TRANSCRIPTS") == "write":
            file.write_text(shown)
        assert shown == file.read_text()

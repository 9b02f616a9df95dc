"""What a browser loads to show a room: bytes on the wire by kind, requests, and the time to first paint."""

import gzip
import http.client
import os
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from bench.streams import processor_seconds
from tests.install import headless_browser
from tests.servers import Site
from tests.sockets import IS_LIVE

TALK = Path(__file__).with_name("talk.txt")
MESSAGES = len(TALK.read_text(encoding="utf-8").splitlines())
MAX_COLD_BYTES = 58 * 1000
MAX_NEXT_BYTES = 10 * 1000
# A phone on a mediocre network.
NETWORK = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
LOADED = 30  # timeout in seconds


@dataclass
class Load:
    """One page with everything it loads. Bytes are those of responses, headers included."""

    kinds: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    first_paint: float = 0.0  # milliseconds

    @property
    def total(self) -> int:
        return self.kinds.total()


class Wire:
    """Counts what a page receives, using the browser's network events."""

    def __init__(self, session: CDPSession) -> None:
        self.load = Load()
        self.kinds: dict[str, str] = {}
        self.under_way: set[str] = set()
        session.on("Network.requestWillBeSent", self.began)
        session.on("Network.responseReceived", self.answered)
        session.on("Network.loadingFinished", self.ended)
        session.on("Network.webSocketHandshakeResponseReceived", self.opened)
        session.on("Network.webSocketFrameReceived", self.framed)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", NETWORK)

    def began(self, event: dict[str, Any]) -> None:
        self.under_way.add(event["requestId"])
        if "redirectResponse" in event:
            self.count("Redirect", event["redirectResponse"]["encodedDataLength"])

    def answered(self, event: dict[str, Any]) -> None:
        self.kinds[event["requestId"]] = event["type"]

    def ended(self, event: dict[str, Any]) -> None:
        self.under_way.discard(event["requestId"])
        # Responses from the browser's cache take no bytes.
        if event["encodedDataLength"]:
            self.count(self.kinds[event["requestId"]], int(event["encodedDataLength"]))

    def opened(self, event: dict[str, Any]) -> None:
        self.count("WebSocket", len(event["response"]["headersText"]))

    def framed(self, event: dict[str, Any]) -> None:
        self.load.kinds["WebSocket"] += len(event["response"]["payloadData"].encode())

    def count(self, kind: str, size: int) -> None:
        self.load.kinds[kind] += size
        self.load.requests += 1


def measured(page: Page, address: str) -> Load:
    """Open a room; return what it took until everything is loaded and the page is live."""
    session = page.context.new_cdp_session(page)
    wire = Wire(session)
    page.goto(address)
    page.wait_for_function(f"() => {IS_LIVE}")
    deadline = time.monotonic() + LOADED
    while wire.under_way and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert not wire.under_way, f"not answered: {wire.under_way}"
    wire.load.first_paint = page.evaluate(FIRST_PAINT) or 0.0
    session.detach()
    return wire.load


def size_of_icon(page: Page, site: Site) -> int:
    """Return the icon's size: headless browsers don't request icons, all others do."""
    path = page.locator("link[rel=icon]").get_attribute("href")
    assert path
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    connection.request("GET", path, headers={"Host": f"127.0.0.1:{site.port}", "Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    size = len(answer.read()) + sum(len(f"{name}: {value}\r\n") for name, value in answer.getheaders())
    connection.close()
    return size + len("HTTP/1.1 200 OK\r\n\r\n")


def room_pages(site: Site, key: str) -> tuple[Load, Load]:
    """Open a room with an empty cache, then the next one; the site must be filled with `talk.txt`."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=headless_browser(), args=arguments)
        context = browser.new_context()
        context.add_cookies([{"name": "sessionid", "value": key, "url": site.url}])
        page = context.new_page()
        cold = measured(page, f"{site.url}/rooms/room-001/")
        assert page.locator("#messages > .message").count() == MESSAGES
        cold.kinds["Image"] += size_of_icon(page, site)
        cold.requests += 1
        warm = measured(page, f"{site.url}/rooms/room-002/")
        browser.close()
    return cold, warm


@contextmanager
def collected_site() -> Iterator[tuple[Site, str]]:
    """Run a site as `make run` does, with two rooms of messages; yield a user's session key as well."""
    site = Site()
    site.manage("migrate", "--verbosity", "0")
    site.manage("collectstatic", "--no-input", "--verbosity", "0")
    keys = site.populate(users=12, rooms=2, messages=2 * MESSAGES, texts=TALK)
    try:
        yield site.start(), keys[0]
    finally:
        site.__exit__(None, None, None)


def processor_time(site: Site, key: str, encoding: str, count: int = 60) -> float:
    """Return the milliseconds of the server's CPU time per room page, requested with this Accept-Encoding."""
    headers = {"Cookie": f"sessionid={key}", "Accept-Encoding": encoding}
    request = urllib.request.Request(f"{site.url}/rooms/room-001/", headers=headers)
    assert site.process
    for number in range(count + 20):
        if number == 20:
            before = processor_seconds(site.process.pid)
        with urllib.request.urlopen(request) as answer:
            body = answer.read()
    assert (gzip.decompress(body) if encoding == "gzip" and body[:2] == b"\x1f\x8b" else body).startswith(b"<!doctype")
    return (processor_seconds(site.process.pid) - before) / count * 1000

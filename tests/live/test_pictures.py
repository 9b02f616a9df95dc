"""Many of the largest pictures at once, and what they cost the site's processes."""

import io
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from tests.servers import Site

MEGABYTE = 1024 * 1024
TOKEN = "a" * 32
SENDERS = 8


def processes(root: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        # Threads and processes may end at any time.
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in task.read_text().split():
                yield from processes(int(child))


def memory(root: int) -> int:
    """Bytes of memory that a process and its descendants use, each page counted once."""
    total = 0
    for process in processes(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def largest(kind: str, size: tuple[int, int], mode: str) -> bytes:
    """A picture with the largest allowed size in a small file."""
    buffer = io.BytesIO()
    Image.new(mode, size, 120).save(buffer, kind)
    return buffer.getvalue()


def send(site: Site, key: str, data: bytes) -> int:
    """Upload a picture; returns the status after redirects."""
    body = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n' + data + b"\r\n--x--\r\n"
    headers = {
        "Content-Type": "multipart/form-data; boundary=x",
        "Cookie": f"sessionid={key}; csrftoken={TOKEN}",
        "X-CSRFToken": TOKEN,
    }
    request = urllib.request.Request(f"{site.url}/accounts/profile/picture/", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="memory is counted on Linux")  # noqa: PTH110
@pytest.mark.parametrize(
    ("kind", "size", "mode"),
    [("PNG", (4_000, 4_000), "RGBA"), ("WEBP", (5_000, 2_500), "RGBA"), ("JPEG", (8_000, 8_000), "RGB")],
)
def test_eight_of_the_largest_pictures_take_little_memory_and_are_all_stored(
    kind: str, size: tuple[int, int], mode: str
) -> None:
    data = largest(kind, size, mode)
    with Site() as site:
        keys = site.populate(users=SENDERS, rooms=1)
        assert site.process
        root = site.process.pid
        assert site.is_ready()
        before, peak, done = memory(root), 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.005):
                peak = max(peak, memory(root))

        watching = threading.Thread(target=watch)
        watching.start()
        with ThreadPoolExecutor(SENDERS) as senders:
            statuses = list(senders.map(lambda key: send(site, key, data), keys))
        done.set()
        watching.join()
    assert statuses == [200] * SENDERS
    print(f"{kind}: {(peak - before) / MEGABYTE:.0f} MB more")
    assert peak - before < 200 * MEGABYTE

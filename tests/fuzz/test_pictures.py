"""Pictures that are invalid, incomplete or far too large: accepted or refused properly, with no process left over."""

import struct
import time
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from django.core.exceptions import ValidationError
from PIL import Image

from apps.accounts import pictures
from apps.core import limits
from tests.fuzz.running import for_share, said

CODES = {"bytes", "polyglot", "pixels", "cost", "unreadable"}
# Maximum size of a picture's two squares: WebP with sides of 96 and 384 pixels.
MAX_ANSWER_BYTES = 400_000


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2, rows: bytes | None = None) -> bytes:
    """A PNG with any header, extra chunks, and rows that need not match it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    rows = zlib.compress(bytes(100_000)) if rows is None else rows
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def hostile_png(random: Random) -> bytes:
    """A PNG with a false header, very many chunks, or a decompression bomb in one of them."""
    side = random.choice([0, 1, 8, 3000, 4000, 65_535, 0x7FFFFFFF, 0xFFFFFFFF])
    bomb = zlib.compress(bytes(random.choice([1000, 50_000_000])))
    kind = random.choice(
        [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"tRNS", b"PLTE", b"zzZz"]
    )
    odd = chunk(kind, random.choice([b"", b"a\0\0", b"a\0\0" + bomb, random.randbytes(300)]))
    return png(
        side,
        random.choice([side, 1, 4000]),
        odd * random.choice([0, 1, 2000 if len(odd) < 400 else 2]),
        depth=random.choice([1, 8, 16, 3]),
        colour=random.choice([0, 2, 3, 4, 6, 9]),
        rows=random.choice([None, bomb, b"", random.randbytes(100)]),
    )


def real(random: Random) -> bytes:
    """A picture as made by a camera or program, with an ordinary or odd shape, maybe with many frames."""
    size = random.choice([(1, 1), (64, 48), (800, 600), (1, 5000), (2000, 1)])
    image = Image.new(random.choice(["RGB", "L", "P", "1", "RGBA", "CMYK"]), size, 1)
    buffer = BytesIO()
    kind = random.choice(["PNG", "JPEG", "WEBP", "GIF"])
    if kind == "JPEG" or (kind == "WEBP" and image.mode == "CMYK") or (kind != "JPEG" and image.mode == "CMYK"):
        image = image.convert("RGB")
    several = {"save_all": True, "append_images": [image.copy()] * random.choice([0, 300])} if size < (99, 99) else {}
    extra = {
        "exif": random.choice(
            [b"", b"Exif\0\0" + random.randbytes(60), b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(60)]
        ),
        "icc_profile": random.choice([b"", random.randbytes(200), bytes(128) + b"\xff" * 2000]),
    }
    options = several if kind == "GIF" else {**extra, **(several if kind == "WEBP" else {})}
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def damaged(data: bytes, random: Random) -> bytes:
    """The same file truncated, with changed bytes, with repeated parts, or with something appended."""
    position = random.randrange(len(data) + 1)
    how = random.randrange(5)
    if how == 0:
        return data[:position]
    if how == 1:
        changed = bytearray(data)
        for _ in range(random.choice([1, 10])):
            changed[random.randrange(len(changed))] = random.randrange(256)
        return bytes(changed)
    if how == 2:
        return data[:position] + data[: random.choice([10, 1000])] * random.choice([1, 500]) + data[position:]
    if how == 3:
        return data + random.choice([b"<script>", b"%PDF-", b"PK\x05\x06" + bytes(18), bytes(5 << 20)])
    return data


def wrong_with(data: bytes) -> list[str]:
    """What goes wrong when a picture is accepted or refused."""
    began = time.monotonic()
    wrong = []
    try:
        small, large = pictures.square_sizes(BytesIO(data), len(data))
    except ValidationError as refusal:
        if refusal.code not in CODES or not refusal.message:
            wrong.append(f"it was refused as {refusal.code}")
    else:
        if len(small) + len(large) > MAX_ANSWER_BYTES:
            wrong.append(f"it became {len(small) + len(large)} bytes")
        if [Image.open(BytesIO(one)).size for one in (small, large)] != [(96, 96), (384, 384)]:
            wrong.append("it became no squares")
    # Generous, since machines are shared: a stuck job hits its processor limit long before.
    if time.monotonic() - began > 2 * limits.PICTURE.wall_seconds:
        wrong.append(f"it took {time.monotonic() - began:.1f} s")
    return wrong


@pytest.fixture
def no_error_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if the pool logs an error, which would be a bug."""
    yield
    assert not [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.usefixtures("no_error_logged")
def test_any_picture_becomes_two_squares_or_is_refused_for_a_reason() -> None:
    for random in for_share(0.14, "pictures"):
        data = damaged(random.choice([hostile_png, real, real])(random), random)
        if wrong := wrong_with(data):
            pytest.fail(said(data, "; ".join(wrong)))
    # The last child, and the one before it if that is just ending.
    assert len(children()) <= 2


def children() -> list[str]:
    """The live children of the fork server for pictures, if the system tells."""
    assert pictures.pool.fork_server
    number = pictures.pool.fork_server.process.pid
    told = Path(f"/proc/{number}/task/{number}/children")
    return told.read_text().split() if told.exists() else []

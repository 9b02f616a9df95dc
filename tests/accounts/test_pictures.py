"""Profile pictures: what is accepted, what is refused, what is stored."""

import io
import struct
import zipfile
import zlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image, ImageCms

from apps.accounts.models import Picture, User
from apps.core.limits import MAX_PICTURE_BYTES
from tests.conftest import client_of, make_user

pytestmark = pytest.mark.django_db


def image(kind: str = "PNG", size: tuple[int, int] = (640, 480), mode: str = "RGB", **options: object) -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new(mode, size, 120).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def client(ada: User) -> Client:
    return client_of(ada)


def send(client: Client, data: bytes, name: str = "me.png", kind: str = "image/png") -> tuple[int, str]:
    answer = client.post("/accounts/profile/picture/", {"picture": SimpleUploadedFile(name, data, kind)})
    return answer.status_code, answer.content.decode()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_is_cropped_to_a_square_and_re_encoded(client: Client, ada: User, kind: str) -> None:
    assert send(client, image(kind))[0] == 302
    ada.refresh_from_db()
    for size, side in (("small", 96), ("large", 384)):
        answer = client.get(f"/people/pictures/{ada.picture_key}/{size}/")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        shown = Image.open(io.BytesIO(answer.content))
        assert (shown.format, shown.size) == ("WEBP", (side, side))


def test_camera_metadata_is_dropped(client: Client) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRET CAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    send(client, image("JPEG", exif=exif.tobytes(), comment=b"SECRET COMMENT"))
    stored = Picture.objects.get()
    for data in (bytes(stored.small), bytes(stored.large)):
        assert b"SECRET" not in data
        assert not Image.open(io.BytesIO(data)).getexif()


def test_a_rotated_picture_is_turned_upright(client: Client) -> None:
    lying = Image.new("RGB", (400, 400), "white")
    lying.paste("black", (0, 0, 400, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    buffer = io.BytesIO()
    lying.save(buffer, "JPEG", exif=exif.tobytes())
    send(client, buffer.getvalue())
    shown = Image.open(io.BytesIO(bytes(Picture.objects.get().large))).convert("L")
    assert shown.getpixel((350, 190)) == pytest.approx(0, abs=40)
    assert shown.getpixel((30, 190)) == pytest.approx(255, abs=40)


def test_a_new_picture_has_a_new_address_and_the_old_one_is_deleted(client: Client, ada: User) -> None:
    send(client, image())
    ada.refresh_from_db()
    old = ada.picture_key
    send(client, image("JPEG"))
    ada.refresh_from_db()
    assert ada.picture_key != old
    assert client.get(f"/people/pictures/{old}/small/").status_code == 404
    client.post("/accounts/profile/picture/remove/")
    ada.refresh_from_db()
    assert (ada.picture_key, Picture.objects.count()) == ("", 0)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 3_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, data)
    return buffer.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
UNREADABLE, TWO_IN_ONE = "cannot be read as a picture", "something else beside"
TOO_MANY = "too large to be opened"
HOSTILE = {
    "an SVG with a script": (SVG, TWO_IN_ONE),
    "an SVG that claims to be a PNG": (b"\x89PNG\r\n\x1a\n" + SVG, TWO_IN_ONE),
    "an SVG that loads a picture": (b'<svg><image href="http://evil.example/x"/></svg>', UNREADABLE),
    "a page": (b"<!doctype html><body onload=alert(1)>", TWO_IN_ONE),
    "a page in a GIF": (b"GIF89a/*" + b"<script>alert(1)</script>" + b"*/=1;", TWO_IN_ONE),
    "a script that is a GIF": (b"GIF89a=1;alert(1)//" + b"\0" * 100, UNREADABLE),
    "a page after a PNG": (image() + b"<html><body onload=alert(1)>", TWO_IN_ONE),
    "a page in a PNG's comment": (image()[:33] + b"\0\0\0\x20tEXt<script>alert(document.domain)</script>", TWO_IN_ONE),
    "an archive after a JPEG": (image("JPEG") + zipped("a.txt", b"a"), TWO_IN_ONE),
    "a program after a JPEG": (image("JPEG") + b"<?php system($_GET[0]);", TWO_IN_ONE),
    "a PDF in a JPEG": (image("JPEG", comment=b"%PDF-1.7 obj"), TWO_IN_ONE),
    "a bomb by its header": (png_that_claims(60_000, 60_000), TOO_MANY),
    "a bomb just beyond the limit": (image(size=(4_000, 4_001), mode="1"), TOO_MANY),
    "a JPEG just beyond the limit": (image("JPEG", (8_000, 8_001), mode="L"), TOO_MANY),
    "a progressive JPEG beyond the limit": (image("JPEG", (4_000, 4_001), mode="L", progressive=True), TOO_MANY),
    "a WebP beyond the limit": (image("WEBP", (5_000, 2_501), method=0), TOO_MANY),
    "a long thin bomb": (png_that_claims(2**31 - 1, 1), TOO_MANY),
    "a GIF that claims to be huge": (b"GIF89a\xff\xff\xff\xff\x00\x00\x00" + b"\0" * 50, UNREADABLE),
    "too many bytes": (image() + b"\0" * MAX_PICTURE_BYTES, "more than 5 MB"),
    "a truncated PNG": (image()[:-60], UNREADABLE),
    "a truncated JPEG": (image("JPEG", (2000, 2000))[:2000], UNREADABLE),
    "a truncated WebP": (image("WEBP")[:40], UNREADABLE),
    "only a header": (b"\x89PNG\r\n\x1a\n", UNREADABLE),
    "a TIFF": (image("TIFF"), UNREADABLE),
    "a BMP": (image("BMP"), UNREADABLE),
    "an icon": (image("ICO", (64, 64)), UNREADABLE),
    "text": (b"I am a picture, honestly.", UNREADABLE),
    "nothing": (b"", UNREADABLE),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", UNREADABLE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_invalid_picture_is_refused_with_the_reason(client: Client, name: str) -> None:
    data, reason = HOSTILE[name]
    status, page = send(client, data)
    assert status == 422
    assert reason in page
    assert not Picture.objects.exists()


def quarters(kind: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    """A picture of red, green, blue and white quarters, starting at the top left."""
    picture = Image.new("RGB", size, "white")
    half = (size[0] // 2, size[1] // 2)
    picture.paste("red", (0, 0, *half))
    picture.paste("lime", (half[0], 0, size[0], half[1]))
    picture.paste("blue", (0, half[1], half[0], size[1]))
    buffer = io.BytesIO()
    picture.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "size", "mode", "options"),
    [
        ("JPEG", (8_000, 8_000), "RGB", {"quality": 50}),
        ("JPEG", (3_000, 4_000), "CMYK", {}),
        ("JPEG", (4_000, 4_000), "RGB", {"progressive": True}),
        ("PNG", (4_000, 4_000), "RGB", {}),
        ("PNG", (4_000, 4_000), "RGBA", {}),
        ("PNG", (4_000, 4_000), "P", {}),
        ("GIF", (4_000, 4_000), "P", {}),
        ("WEBP", (5_000, 2_500), "RGB", {"method": 0, "lossless": True}),
        ("WEBP", (5_000, 2_500), "RGBA", {"method": 0, "lossless": True}),
        ("PNG", (100, 60), "RGB", {}),
    ],
)
def test_a_picture_as_large_as_allowed_looks_right(
    client: Client, kind: str, size: tuple[int, int], mode: str, options: dict[str, object]
) -> None:
    assert send(client, quarters(kind, size, mode, **options))[0] == 302
    stored = Picture.objects.get()
    for data, side in ((stored.small, 96), (stored.large, 384)):
        shown = Image.open(io.BytesIO(bytes(data))).convert("RGB")
        near, far = side // 4, 3 * side // 4
        seen = [shown.getpixel(place) for place in ((near, near), (far, near), (near, far), (far, far))]
        wanted = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
        assert seen == [pytest.approx(colour, abs=40) for colour in wanted]


def test_a_sixteen_bit_grey_picture_keeps_its_shades(client: Client) -> None:
    grey = Image.new("I;16", (400, 400), 0x8000)
    buffer = io.BytesIO()
    grey.save(buffer, "PNG")
    assert send(client, buffer.getvalue())[0] == 302
    shown = Image.open(io.BytesIO(bytes(Picture.objects.get().large))).convert("L")
    assert shown.getpixel((100, 100)) == pytest.approx(0x80, abs=3)


def test_colour_profiles_are_applied(client: Client) -> None:
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Swap red and green in its table of contents.
    swapped = plain.replace(b"rXYZ", b"----", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"----", b"gXYZ", 1)
    buffer = io.BytesIO()
    Image.new("RGB", (400, 400), "red").save(buffer, "PNG", icc_profile=swapped)
    assert send(client, buffer.getvalue())[0] == 302
    shown = Image.open(io.BytesIO(bytes(Picture.objects.get().large))).convert("RGB")
    assert shown.getpixel((100, 100)) == pytest.approx((0, 255, 0), abs=40)


# Without a surrounding transaction, which PostgreSQL would end for idling so long.
@pytest.mark.django_db(transaction=True)
def test_a_picture_that_takes_too_long_is_refused(client: Client) -> None:
    data, reason = scans(quarters("JPEG", (4_000, 4_000), "RGB", progressive=True), 1500), TOO_MANY
    status, page = send(client, data)
    assert (status, reason in page) == (422, True)


def scans(jpeg: bytes, count: int) -> bytes:
    """A progressive JPEG with its last scan repeated."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * count + jpeg[-2:]


def test_a_missing_file_is_asked_for(client: Client) -> None:
    answer = client.post("/accounts/profile/picture/")
    assert answer.status_code == 422
    assert "Choose a file first" in answer.content.decode()


@pytest.mark.parametrize("path", ["nonsense/small", "nonsense/huge", "a%00b/small"])
def test_an_unknown_picture_returns_404(client: Client, path: str) -> None:
    assert client.get(f"/people/pictures/{path}/").status_code == 404


def test_pictures_can_be_uploaded_twenty_times_an_hour(client: Client) -> None:
    statuses = [send(client, b"no picture")[0] for _ in range(21)]
    assert statuses == [422] * 20 + [429]

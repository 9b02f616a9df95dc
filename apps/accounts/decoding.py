"""
Turns an uploaded picture into two small square ones: decoded, cropped and re-encoded, without any metadata.

Only runs in a resource-limited child process (pictures.py), and doesn't import Django. The decoded picture is held once
and reduced band by band: the largest one allowed takes some 64 MB, WebP twice as much.
"""

import re
import warnings
import zipfile
from io import BytesIO

# The plugins, so that the fork server has already imported them for its children.
from PIL import GifImagePlugin, Image, ImageCms, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from apps.core import limits
from apps.core.bounded import Refused

# The only decoders that get to see uploads.
FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
    )
)
# MPO is the JPEG of some phones, with a second picture after the first.
JPEG = {"JPEG", "MPO"}
SMALL, LARGE = 96, 384  # pixels per side: twice what pages show, for high-density screens
QUALITY = 82
# What browsers or other programs might execute if the file were ever taken for something else.
OTHER_FORMATS = re.compile(rb"<(?:script|html|!doctype)|<\?php|%PDF-", re.IGNORECASE)
MAX_PROFILE_BYTES = 1024 * 1024
# Transformations for each Exif orientation (Exif 2.3).
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def square_sizes(data: bytes) -> tuple[bytes, bytes]:
    """
    Return the picture's central square as WebP, small and large.

    Raises Refused: "polyglot" if it is also a web page, a program or an archive, "pixels" if it is too large,
    "unreadable" if it isn't a picture in a supported format.
    """
    if OTHER_FORMATS.search(data) or zipfile.is_zipfile(BytesIO(data)):
        raise Refused("polyglot")
    try:
        with warnings.catch_warnings():
            # Our own limits are below the library's.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = square(data)
    except (Refused, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise Refused("pixels") from None
    except Exception:  # decoders raise all kinds of exceptions
        raise Refused("unreadable") from None
    return encoded(picture, SMALL), encoded(picture, LARGE)


def square(data: bytes) -> Image.Image:
    """Return the central square, upright, with at least LARGE pixels per side if possible."""
    image: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
    # Known from the header: a decompression bomb only goes off when decoded.
    if image.width * image.height > max_pixels(image):
        raise Refused("pixels")
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))  # getexif() would decode a PNG first
    orientation = exif.get(ORIENTATION)
    profile = image.info.get("icc_profile", b"")
    if image.format in JPEG:
        # Decodes at a half, a quarter or an eighth of the size.
        image.draft("RGB", (2 * LARGE, 2 * LARGE))
    elif isinstance(image, WebPImagePlugin.WebPImageFile):
        image = first_frame_of_webp(image)
    image.load()
    picture = in_srgb(shrunk(image), profile)
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def max_pixels(image: Image.Image) -> int:
    """Return the size limit for this format: decoders differ in how much they hold in memory."""
    if image.format in JPEG and not image.info.get("progressive"):
        return limits.MAX_JPEG_PIXELS
    return limits.MAX_WEBP_PIXELS if image.format == "WEBP" else limits.MAX_PICTURE_PIXELS


def first_frame_of_webp(image: WebPImagePlugin.WebPImageFile) -> Image.Image:
    """Return its pixels, without the extra copy that Pillow makes."""
    pixels, _ = image._decoder.get_next()
    return Image.frombuffer("RGBA", image.size, pixels, "raw", "RGBA", 0, 1)


def shrunk(image: Image.Image) -> Image.Image:
    """Return the central square in RGBA, reduced to between LARGE and twice that per side, a band at a time."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    factor = max(1, side // LARGE)
    band = factor * 16
    # The remainder at the right and bottom is less than one pixel of the result.
    width = side // factor * factor
    result = Image.new("RGBA", (side // factor, side // factor))
    for offset in range(0, width, band):
        bottom = min(offset + band, width)
        part = image.crop((left, top + offset, left + width, top + bottom))
        result.paste(in_eight_bits(part).convert("RGBA").reduce(factor), (0, offset // factor))
    return result


def in_eight_bits(image: Image.Image) -> Image.Image:
    """Convert 16-bit grey to 8 bits by scaling, since Pillow's conversion would clip it to white."""
    if image.mode in {"I", "I;16", "I;16B"}:
        return image.point(lambda value: value * (1 / 256)).convert("L")
    return image


def in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Convert the picture from its colour profile to sRGB, if the profile is readable."""
    if not profile or len(profile) > MAX_PROFILE_BYTES:
        return picture
    try:
        colours = ImageCms.profileToProfile(
            picture.convert("RGB"), ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        )
    except (ImageCms.PyCMSError, OSError):
        return picture  # damaged, or not for RGB
    if colours is None:
        return picture
    colours.putalpha(picture.getchannel("A"))
    return colours


def encoded(picture: Image.Image, side: int) -> bytes:
    """Return the picture as WebP, scaled to `side` pixels."""
    buffer = BytesIO()
    picture.resize((side, side), Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()

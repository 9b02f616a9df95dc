"""
A stranger's picture to two small ones: decoded, cut to a square, encoded again, with nothing of what came beside it.

It only ever runs in a child process that is limited (pictures.py), and imports nothing of Django. Of the decoded
picture one copy is held and shrunk band by band: the largest one allowed takes some 64 MB, WebP twice as much.
"""

import re
import warnings
import zipfile
from io import BytesIO

# The plugins, so that the fork server has them and no child has to import them.
from PIL import GifImagePlugin, Image, ImageCms, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from apps.core import limits
from apps.core.bounded import Refused

# The decoders that may see a stranger's bytes.
FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
    )
)
# What some phones' JPEG are, with a second picture behind the first.
JPEG = {"JPEG", "MPO"}
SMALL, LARGE = 96, 384  # pixels a side: twice what pages show, for screens that are twice as fine
QUALITY = 82
# What a browser or a program might run, were the file ever taken for something other than a picture.
OTHER_FORMATS = re.compile(rb"<(?:script|html|!doctype)|<\?php|%PDF-", re.IGNORECASE)
MAX_PROFILE_BYTES = 1024 * 1024
# How to turn a picture upright, by the camera's note (Exif 2.3, Orientation).
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
    The picture's middle square as WebP, small and large.

    Raises Refused: "polyglot" for what is a page, a program or an archive as well, "pixels" for a picture that is too
    large, "unreadable" for anything that is no picture of a kind that is taken.
    """
    if OTHER_FORMATS.search(data) or zipfile.is_zipfile(BytesIO(data)):
        raise Refused("polyglot")
    try:
        with warnings.catch_warnings():
            # Our own limits are lower than the library's.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = square(data)
    except (Refused, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise Refused("pixels") from None
    except Exception:  # decoders raise whatever they like
        raise Refused("unreadable") from None
    return encoded(picture, SMALL), encoded(picture, LARGE)


def square(data: bytes) -> Image.Image:
    """The middle square, upright, some LARGE pixels a side or more."""
    image: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
    # Known from the header: a bomb goes off only when it is decoded.
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
    """How large a picture of this kind may be: what the decoder holds of it differs."""
    if image.format in JPEG and not image.info.get("progressive"):
        return limits.MAX_JPEG_PIXELS
    return limits.MAX_WEBP_PIXELS if image.format == "WEBP" else limits.MAX_PICTURE_PIXELS


def first_frame_of_webp(image: WebPImagePlugin.WebPImageFile) -> Image.Image:
    """Its pixels, without the further copy that Pillow makes."""
    pixels, _ = image._decoder.get_next()
    return Image.frombuffer("RGBA", image.size, pixels, "raw", "RGBA", 0, 1)


def shrunk(image: Image.Image) -> Image.Image:
    """The middle square in RGBA, averaged to between one and two times LARGE pixels a side, a band at a time."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    factor = max(1, side // LARGE)
    band = factor * 16
    # What is left over at the right and below is less than a pixel of the result.
    width = side // factor * factor
    result = Image.new("RGBA", (side // factor, side // factor))
    for offset in range(0, width, band):
        bottom = min(offset + band, width)
        part = image.crop((left, top + offset, left + width, top + bottom))
        result.paste(in_eight_bits(part).convert("RGBA").reduce(factor), (0, offset // factor))
    return result


def in_eight_bits(image: Image.Image) -> Image.Image:
    """The same picture; grey of 16 bits a pixel is scaled, since converting would cut it off at white."""
    if image.mode in {"I", "I;16", "I;16B"}:
        return image.point(lambda value: value * (1 / 256)).convert("L")
    return image


def in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """The picture with the colours that its profile means, as far as that can be read."""
    if not profile or len(profile) > MAX_PROFILE_BYTES:
        return picture
    try:
        colours = ImageCms.profileToProfile(
            picture.convert("RGB"), ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        )
    except (ImageCms.PyCMSError, OSError):
        return picture  # of another kind of colours than RGB, or damaged
    if colours is None:
        return picture
    colours.putalpha(picture.getchannel("A"))
    return colours


def encoded(picture: Image.Image, side: int) -> bytes:
    """The picture `side` pixels wide, as WebP."""
    buffer = BytesIO()
    picture.resize((side, side), Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()

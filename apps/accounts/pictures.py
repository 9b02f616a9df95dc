"""People's pictures: whatever is sent is decoded, cut to a square and encoded anew; nothing else of it is kept."""

import re
import secrets
import warnings
import zipfile
from io import BytesIO
from typing import IO

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from PIL import Image, ImageOps

from apps.accounts.models import Picture, User

MOST_BYTES = 5 * 1024 * 1024
MOST_PIXELS = 30_000_000
# The decoders that may see a stranger's bytes. Of an animation only the first frame is taken.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
SMALL, LARGE = 96, 384  # pixels a side: twice what pages show, for screens that are twice as fine
QUALITY = 82
# What a browser or a program might run, were the file ever taken for something else than a picture.
OTHER_FORMATS = re.compile(rb"<(?:script|html|!doctype)|<\?php|%PDF-", re.IGNORECASE)


def square_sizes(file: IO[bytes], size: int) -> tuple[bytes, bytes]:
    """
    The picture as WebP, small and large, without anything that came with it.

    Raises ValidationError for what is too large or no picture of a kind that is taken.
    """
    if size > MOST_BYTES:
        raise ValidationError(
            _("The picture has more than 5 MB. Choose a smaller one, or scale it down."), code="bytes"
        )
    refuse_two_formats_in_one(file)
    picture = decoded(file)
    return encoded(picture, SMALL), encoded(picture, LARGE)


def refuse_two_formats_in_one(file: IO[bytes]) -> None:
    """Raises ValidationError for a picture that is a page, a program or an archive too."""
    is_other = bool(OTHER_FORMATS.search(file.read())) or zipfile.is_zipfile(file)
    file.seek(0)
    if is_other:
        raise ValidationError(
            _(
                "This file holds something else beside a picture."
                " Open it in an image program, save it anew and send that."
            ),
            code="polyglot",
        )


def decoded(file: IO[bytes]) -> Image.Image:
    """The picture's pixels, turned upright."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
            # Known from the header: a bomb goes off only when it is decoded.
            if image.width * image.height > MOST_PIXELS:
                raise ValidationError(
                    _("The picture has more than 30 megapixels. Scale it down and send it again."), code="pixels"
                )
            if image.format == "JPEG":
                image.draft("RGB", (2 * LARGE, 2 * LARGE))
            image.load()
            return ImageOps.exif_transpose(image).convert("RGBA")
    except ValidationError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValidationError(_("The picture is too large to be opened. Scale it down."), code="pixels") from None
    except Exception:  # decoders raise whatever they like
        raise ValidationError(
            _("This file cannot be read as a picture. Send a JPEG, PNG, WebP or GIF."), code="unreadable"
        ) from None


def encoded(picture: Image.Image, side: int) -> bytes:
    """The middle square of the picture, `side` pixels wide, as WebP."""
    buffer = BytesIO()
    ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


@transaction.atomic
def store(*, user: User, small: bytes, large: bytes) -> None:
    """Give a person this picture, at a new address, so that browsers may keep each address's for ever."""
    user.picture_key = secrets.token_urlsafe(32)
    Picture.objects.update_or_create(user=user, defaults={"key": user.picture_key, "small": small, "large": large})
    user.save(update_fields=["picture_key"])


@transaction.atomic
def remove(*, user: User) -> None:
    """Take a person's picture away."""
    Picture.objects.filter(user=user).delete()
    user.picture_key = ""
    user.save(update_fields=["picture_key"])

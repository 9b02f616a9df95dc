"""Profile pictures: uploads are decoded, cropped to a square and re-encoded; nothing else of them is kept."""

import secrets
from typing import IO

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.accounts.models import Picture, User
from apps.core import limits, locks
from apps.core.bounded import Exceeded, Pool, Refused
from apps.core.database import whole

# One child, so that one picture is decoded at a time; replaced after each one to free its memory.
pool = Pool(
    name="pictures",
    modules=["apps.accounts.decoding"],
    children=1,
    jobs_per_child=1,
    limits=limits.PICTURE,
)


def square_sizes(file: IO[bytes], size: int) -> tuple[bytes, bytes]:
    """
    Return the picture as WebP, small and large, without metadata.

    Raises ValidationError if it is too large, or not in a supported format.
    """
    if size > limits.MAX_PICTURE_BYTES:
        raise refusal("bytes")
    try:
        small, large = pool.run("apps.accounts.decoding:square_sizes", file.read())
    except Refused as refused:
        raise refusal(refused.code) from None
    except Exceeded:
        raise refusal("cost") from None
    return small, large


def refusal(code: str) -> ValidationError:
    """Return the error for a refused picture, with advice."""
    texts = {
        "bytes": _("The picture has more than 5 MB. Choose a smaller one, or scale it down."),
        "polyglot": _(
            "This file holds something else beside a picture. Open it in an image program, save it anew and send that."
        ),
        "pixels": _("The picture is too large to be opened. Scale it down."),
        "cost": _("The picture is too large to be opened. Scale it down."),
        "unreadable": _("This file cannot be read as a picture. Send a JPEG, PNG, WebP or GIF."),
    }
    return ValidationError(texts[code], code=code)


@whole()
def store(*, user: User, small: bytes, large: bytes) -> None:
    """
    Store a user's picture under a new URL, so that browsers may cache each URL forever.

    Raises locks.Gone if the account has been deleted, as does `remove`.
    """
    locks.take(user)
    user.picture_key = secrets.token_urlsafe(32)
    Picture.objects.update_or_create(user=user, defaults={"key": user.picture_key, "small": small, "large": large})
    user.save(update_fields=["picture_key"])


@whole()
def remove(*, user: User) -> None:
    """Remove a user's picture."""
    locks.take(user)
    Picture.objects.filter(user=user).delete()
    user.picture_key = ""
    user.save(update_fields=["picture_key"])

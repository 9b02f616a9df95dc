"""Export of all of a user's data as a ZIP archive, streamed."""

import json
import zipfile
from collections.abc import Callable, Iterator
from io import RawIOBase
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model

from apps.accounts.models import Invitation, Picture, User

Rows = Callable[[User], Iterator[dict[str, Any]]]
# Data that other apps store about a user, by file name.
sections: dict[str, Rows] = {}

# Tables included in the account's file, and their columns for the user.
TABLES: dict[str, tuple[type[Model], str]] = {
    "email_addresses": (EmailAddress, "user"),
    "accounts_elsewhere": (SocialAccount, "user"),
    "second_factors": (Authenticator, "user"),
    "devices": (UserSession, "user"),
    "invitations": (Invitation, "made_by"),
}
KEYS = {"id", "user"}
# Columns left out; all others are exported.
WITHHELD: dict[type[Model], set[str]] = {
    User: {
        *("id", "password"),
        # Derived from the names.
        *("name_digest", "name_key", "display_key", "display_digest", "shows_username"),
        # Derived from the role.
        *("is_superuser", "is_staff"),
        # The picture itself is in the archive.
        "picture_key",
        # Constant for anyone who can request an archive, or unused.
        *("is_active", "is_demonstration", "first_name", "last_name"),
    },
    EmailAddress: KEYS,
    SocialAccount: KEYS,
    # With its secret, anyone who finds the archive would have the second factor.
    Authenticator: {*KEYS, "data"},
    UserSession: {*KEYS, "session_key", "data"},
    # Its link grants access. The room it leads to is in that app's files.
    Invitation: {"id", "made_by", "digest", "room"},
}

ABOUT = """All that this site keeps of you, in JSON.

account.json   who you are here, how you sign in, your devices and preferences
{files}
Passwords are kept as hashes only, and are not in here, as little as the secrets of second factors.
"""


def register(file: str, rows: Rows) -> None:
    """Add `file` to every archive, with the rows that the function yields for a user."""
    sections[file] = rows


class Outbox(RawIOBase):
    """A write-only file that keeps what was written since it was last emptied."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written, and empty it."""
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken


def archive(user: User) -> Iterator[bytes]:
    """Yield the archive's bytes. At most a few hundred rows of a table are in memory at a time."""
    outbox = Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("README.txt", ABOUT.format(files="\n".join(sections)))
        file.writestr("account.json", as_json(account_of(user)))
        if picture := Picture.objects.filter(user=user).first():
            file.writestr("picture.webp", bytes(picture.large), zipfile.ZIP_STORED)
        for name, rows in sections.items():
            with file.open(name, "w", force_zip64=True) as section:
                for text in json_list(rows(user)):
                    section.write(text)
                    if piece := outbox.take():
                        yield piece
        # Closing the archive writes its directory.
    yield outbox.take()


def json_list(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the rows as one JSON list, one per line."""
    separator = "["
    for row in rows:
        yield f"{separator}\n{as_json(row)}".encode()
        separator = ","
    yield b"\n]\n" if separator == "," else b"[]\n"


def as_json(value: Any) -> str:
    """Return readable JSON, with non-ASCII letters unescaped."""
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def account_of(user: User) -> dict[str, Any]:
    """Return what this app and django-allauth store about the user."""
    own = {name: getattr(user, name) for name in exported_columns(User)}
    return own | {name: rows_of(model, person, user) for name, (model, person) in TABLES.items()}


def rows_of(model: type[Model], person: str, user: User) -> list[dict[str, Any]]:
    """Return a user's rows in a table; `person` is its column for the user."""
    return list(model._default_manager.filter(**{person: user}).values(*exported_columns(model)))


def exported_columns(model: type[Model]) -> list[str]:
    """Return a table's exported columns: all that are not withheld."""
    return [field.name for field in model._meta.concrete_fields if field.name not in WITHHELD[model]]

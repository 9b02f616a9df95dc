"""All of one person's data as a ZIP archive, made piece by piece."""

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
# What other apps keep of a person, by the name of its file.
sections: dict[str, Rows] = {}

# Tables that stand in the account's file, and their columns for whose a row is.
TABLES: dict[str, tuple[type[Model], str]] = {
    "email_addresses": (EmailAddress, "user"),
    "accounts_elsewhere": (SocialAccount, "user"),
    "second_factors": (Authenticator, "user"),
    "devices": (UserSession, "user"),
    "invitations": (Invitation, "made_by"),
}
KEYS = {"id", "user"}
# The columns that stay here; every other is in the archive.
WITHHELD: dict[type[Model], set[str]] = {
    User: {
        *("id", "password"),
        # They follow from the names.
        *("name_digest", "name_key", "display_key", "display_digest", "shows_username"),
        # They follow from the role.
        *("is_superuser", "is_staff"),
        # The picture itself is in the archive.
        "picture_key",
        # Always so for who asks for an archive, or not used at all.
        *("is_active", "is_demonstration", "first_name", "last_name"),
    },
    EmailAddress: KEYS,
    SocialAccount: KEYS,
    # What it is made of would be a second factor for whoever finds the archive.
    Authenticator: {*KEYS, "data"},
    UserSession: {*KEYS, "session_key", "data"},
    # Its link opens a way in. What it leads to stands in the files of that app.
    Invitation: {"id", "made_by", "digest", "room"},
}

ABOUT = """All that this site keeps of you, in JSON.

account.json   who you are here, how you sign in, your devices and preferences
{files}
Passwords are kept as hashes only, and are not in here, as little as the secrets of second factors.
"""


def register(file: str, rows: Rows) -> None:
    """Have `file` in every archive: the rows that the function gives for a person."""
    sections[file] = rows


class Outbox(RawIOBase):
    """A file that only keeps what was written since it was last emptied."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What there is, which is then gone."""
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken


def archive(user: User) -> Iterator[bytes]:
    """The archive's bytes. Of a table no more than a few hundred rows are in memory at a time."""
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
        # What closing the archive writes comes last.
    yield outbox.take()


def json_list(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """The rows as one JSON list, a line each."""
    separator = "["
    for row in rows:
        yield f"{separator}\n{as_json(row)}".encode()
        separator = ","
    yield b"\n]\n" if separator == "," else b"[]\n"


def as_json(value: Any) -> str:
    """JSON that people can read, in every alphabet."""
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def account_of(user: User) -> dict[str, Any]:
    """What is kept of the person in this app and in django-allauth's."""
    own = {name: getattr(user, name) for name in exported_columns(User)}
    return own | {name: rows_of(model, person, user) for name, (model, person) in TABLES.items()}


def rows_of(model: type[Model], person: str, user: User) -> list[dict[str, Any]]:
    """What a table has about somebody, by the name of its column for that."""
    return list(model._default_manager.filter(**{person: user}).values(*exported_columns(model)))


def exported_columns(model: type[Model]) -> list[str]:
    """The columns of a table that the archive has: all that are not withheld."""
    return [field.name for field in model._meta.concrete_fields if field.name not in WITHHELD[model]]

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

from apps.accounts.models import Picture, User

Rows = Callable[[User], Iterator[dict[str, Any]]]
# What other apps keep of a person, by the name of its file.
sections: dict[str, Rows] = {}

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
    own = ["username", "email", "display_name", "pronouns", "about", "time_zone", "language", "role", "date_joined"]
    own += ["last_login", "theme", "text_size", "density", "motion", "clock", "enter_key", "sounds"]
    own += ["reading_order", "says_sent", "says_changes", "letter_keys"]
    tables: dict[str, Any] = {
        "email_addresses": EmailAddress.objects.filter(user=user).values("email", "verified", "primary"),
        "accounts_elsewhere": SocialAccount.objects.filter(user=user).values(
            "provider", "uid", "date_joined", "last_login", "extra_data"
        ),
        "second_factors": Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at"),
        "devices": UserSession.objects.filter(user=user).values("ip", "user_agent", "created_at", "last_seen_at"),
        "invitations": user.invitations.values("note", "most_uses", "uses", "created_at", "expires_at", "revoked_at"),
    }
    return {field: getattr(user, field) for field in own} | {name: list(rows) for name, rows in tables.items()}

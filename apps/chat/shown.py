"""What a message shows, as data that can be sent to other processes and rendered without the database."""

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext

from apps.chat.models import Message

KIND = "message"


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message with the names that chat/message.html uses, which a stored Message has too; in no language."""

    pk: int
    seq: int
    # The number of its last change that is announced.
    version: int
    address: str
    author_id: int | None
    # Empty for a deleted account.
    author_username: str
    name: str
    shows_username: bool
    picture_key: str
    # Sanitised when it was posted (markdown.py).
    html: str
    mentions: str
    is_tall: bool
    is_edited: bool
    is_deleted: bool
    opens_day: bool
    continues: bool
    created_at: datetime
    # What other apps show below it, by name (extras.py).
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def author_name(self) -> str:
        return self.name or gettext("Deleted account")

    @property
    def markup(self) -> SafeString:
        return SafeString(self.html)

    def get_absolute_url(self) -> str:
        return self.address

    @property
    def facts(self) -> dict[str, Any]:
        """All of it as plain values, with the kind of part that it is for."""
        return {"kind": KIND} | asdict(self) | {"created_at": self.created_at.isoformat()}


FIELDS = [one.name for one in fields(ShownMessage)]


def shown(message: Message) -> ShownMessage:
    """Return what a stored message shows."""
    return ShownMessage(
        pk=message.pk,
        seq=message.seq,
        version=message.version,
        address=message.get_absolute_url(),
        author_id=message.author_id,
        author_username=message.author_username,
        name=message.author.name if message.author else "",
        shows_username=message.shows_username,
        picture_key=message.picture_key,
        html=message.html,
        mentions=message.mentions,
        is_tall=message.is_tall,
        is_edited=message.is_edited,
        is_deleted=message.is_deleted,
        opens_day=message.opens_day,
        continues=message.continues,
        created_at=message.created_at,
        extras=message.extras,
    )


def from_facts(facts: dict[str, Any]) -> ShownMessage:
    """Return the message that facts tell of; a newer version of the site may tell more, an older one less."""
    values = {name: facts[name] for name in FIELDS if name in facts}
    return ShownMessage(**values | {"created_at": datetime.fromisoformat(values["created_at"])})

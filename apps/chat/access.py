"""Look up a message for a viewer, with what they may do with it."""

from dataclasses import dataclass, replace
from typing import Any

from apps.accounts.viewer import Viewer
from apps.chat import extras
from apps.chat.models import Message
from apps.core.errors import Missing
from apps.rooms.access import Visit, room_for


class NoSuchMessage(Missing):
    """There is no such message in the room."""


@dataclass(frozen=True)
class MessageVisit:
    """A message as one viewer sees it."""

    visit: Visit
    message: Message
    # What other apps offer with it: templates and their facts.
    actions: tuple[tuple[str, Any], ...] = ()

    @property
    def is_author(self) -> bool:
        return self.visit.is_member and self.message.author_id == self.visit.viewer.pk

    @property
    def may_edit(self) -> bool:
        return self.is_author and not self.message.is_deleted and not self.visit.room.is_archived

    @property
    def may_delete(self) -> bool:
        may_moderate = self.visit.may_moderate and not self.message.is_deleted and not self.visit.room.is_archived
        return self.may_edit or may_moderate

    @property
    def place(self) -> str:
        """The message's URL in the conversation."""
        return f"{self.visit.room.get_absolute_url()}?at={self.message.seq}#message-{self.message.pk}"


def message_for(viewer: Viewer, slug: str, pk: int) -> MessageVisit:
    """Return a message of a room that the viewer may see. Raises NoSuchRoom and NoSuchMessage."""
    visit = room_for(viewer, slug)
    message = Message.objects.select_related("author").filter(pk=pk, room=visit.room).first()
    if message is None:
        raise NoSuchMessage
    message.room = visit.room
    found = MessageVisit(visit, message)
    return found if message.is_deleted else replace(found, actions=tuple(extras.actions(found)))

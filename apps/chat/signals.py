"""Apply account events to messages."""

from typing import Any

from django.dispatch import receiver

from apps.accounts.closing import account_closing, messages_going
from apps.accounts.models import User
from apps.chat import parting
from apps.chat.changes import POSTED, messages_changed
from apps.rooms.changes import tell_places_changed
from apps.rooms.verbs import Kind


@receiver(account_closing)
def let_messages_go(user: User, delete_messages: bool, **kwargs: Any) -> None:
    """Anonymise a closing account's messages, or delete them on request."""
    parting.part_with(author=user, delete_messages=delete_messages)


@receiver(messages_going)
def delete_messages(user: User, deleter: User, **kwargs: Any) -> None:
    """Delete a user's messages before their account is deleted."""
    parting.delete_all_by(author=user, deleter=deleter)


@receiver(messages_changed)
def tell_that_authors_have_read(kind: Kind, actor: User | None, **kwargs: Any) -> None:
    """Have open pages of an author show that they have read what stands above their new message."""
    if kind == POSTED and actor:
        tell_places_changed(actor.pk)

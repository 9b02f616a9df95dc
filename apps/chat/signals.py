"""Apply account events to messages."""

from typing import Any

from django.dispatch import receiver

from apps.accounts.closing import account_closing, messages_going
from apps.accounts.models import User
from apps.chat import parting


@receiver(account_closing)
def let_messages_go(user: User, delete_messages: bool, **kwargs: Any) -> None:
    """Anonymise a closing account's messages, or delete them on request."""
    parting.part_with(author=user, delete_messages=delete_messages)


@receiver(messages_going)
def delete_messages(user: User, deleter: User, **kwargs: Any) -> None:
    """Delete a user's messages before their account is deleted."""
    parting.delete_all_by(author=user, deleter=deleter)

"""What happens to accounts happens to what they said."""

from typing import Any

from django.dispatch import receiver

from apps.accounts.closing import account_closing, messages_going
from apps.accounts.models import User
from apps.chat import parting


@receiver(account_closing)
def let_messages_go(user: User, delete_messages: bool, **kwargs: Any) -> None:
    """Who goes takes their name off what they said, and the words along if they like."""
    parting.part_with(author=user, delete_messages=delete_messages)


@receiver(messages_going)
def delete_messages(user: User, deleter: User, **kwargs: Any) -> None:
    """What somebody said goes before their account does."""
    parting.delete_all_by(author=user, deleter=deleter)

"""What happens to accounts happens to what they said."""

from typing import Any

from django.dispatch import receiver

from apps.accounts.closing import account_closing
from apps.accounts.models import User
from apps.chat import services


@receiver(account_closing)
def delete_messages_of_person(user: User, delete_messages: bool, **kwargs: Any) -> None:
    """Who goes may take their words along."""
    if delete_messages:
        services.delete_messages_of(author=user)

"""Closing an account: the person goes, and with them what is theirs alone."""

from django.db import transaction
from django.dispatch import Signal
from django.utils.translation import gettext as _

from apps.accounts import services
from apps.accounts.models import FormerUsername, User

# Sent in the transaction that deletes an account, before it goes, with `user` and `delete_messages`. Receivers hand
# over or delete what their app keeps of the person.
account_closing = Signal()


def needs_heir(user: User) -> bool:
    """Whether the site would be without an owner, and somebody else is there to take over."""
    if not user.is_site_owner:
        return False
    others = User.objects.filter(is_active=True).exclude(pk=user.pk)
    return others.exists() and not others.filter(role=User.Role.OWNER).exists()


@transaction.atomic
def close_account(*, user: User, delete_messages: bool, heir: User | None) -> None:
    """
    Delete an account. What its person said stays without a name, or goes.

    One transaction, so that nobody is ever half gone. Raises AccountError where the site needs an heir and none is
    given.
    """
    services.lock_roles()
    if needs_heir(user):
        if heir is None:
            raise services.AccountError(_("A site needs an owner. Say who owns it after you."))
        services.set_role(user=heir, role=User.Role.OWNER)
    account_closing.send(sender=User, user=user, delete_messages=delete_messages)
    FormerUsername.objects.get_or_create(digest=user.name_digest)
    user.delete()

"""Closing an account: the person goes, and with them what is theirs alone."""

from django.db import transaction
from django.dispatch import Signal
from django.utils.translation import gettext as _

from apps.accounts import services
from apps.accounts.models import FormerUsername, User

# Sent in the transaction that deletes an account, before it goes, with `user` and `delete_messages`. Receivers hand
# over or delete what their app keeps of the person.
account_closing = Signal()
# Sent before that, outside any transaction, where an owner closes somebody's account whose messages are to go, with
# `user` and `deleter`: receivers delete what may be much, piece by piece, so that rooms are not locked meanwhile.
messages_going = Signal()


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


def close_account_of(*, user: User, owner: User, delete_messages: bool) -> None:
    """
    Delete somebody else's account, as an owner of the site. Raises AccountError for another owner's.

    Should it end half-way, some of the messages are deleted and all else is as before; done again, it goes on.
    """
    refuse_owners(user)
    if delete_messages:
        messages_going.send(sender=User, user=user, deleter=owner)
    with transaction.atomic():
        services.lock_roles()
        found = User.objects.filter(pk=user.pk).first()
        if found is None:
            raise services.AccountError(_("This account was deleted meanwhile."))
        refuse_owners(found)
        # What was said meanwhile goes with it.
        close_account(user=found, delete_messages=delete_messages, heir=None)


def refuse_owners(user: User) -> None:
    """Raise AccountError for an owner of the site, whose account nobody else closes."""
    if user.is_site_owner:
        raise services.AccountError(_("This is an owner of the site. Give them another role first."))

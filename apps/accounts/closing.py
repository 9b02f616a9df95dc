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

    Should it end half-way, the account is switched off and some of its messages are deleted; done again, it goes on.
    """
    switch_off(user)
    if delete_messages:
        messages_going.send(sender=User, user=user, deleter=owner)
    with transaction.atomic():
        close_account(user=locked_unless_owner(user), delete_messages=delete_messages, heir=None)


@transaction.atomic
def switch_off(user: User) -> None:
    """End what they do here, so that nothing is said meanwhile. Raises AccountError for an owner."""
    found = locked_unless_owner(user)
    found.is_active = False
    found.save(update_fields=["is_active"])


def locked_unless_owner(user: User) -> User:
    """The account as it is now, with the roles locked. Raises AccountError for an owner, and where it has gone."""
    services.lock_roles()
    found = User.objects.filter(pk=user.pk).first()
    if found is None:
        raise services.AccountError(_("This account was deleted meanwhile."))
    refuse_owners(found)
    return found


def refuse_owners(user: User) -> None:
    """Raise AccountError for an owner of the site, whose account nobody else closes."""
    if user.is_site_owner:
        name = {"name": user.username}
        raise services.AccountError(_("%(name)s owns this site. Give them another role first.") % name)

"""Closing an account: the person goes, and with them what is theirs alone."""

from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts import names, proof, services
from apps.accounts.models import FormerUsername, User
from apps.core import limits, locks
from apps.core.database import whole
from apps.core.errors import Refusal
from apps.jobs import outgoing

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
    others = services.proven().filter(is_active=True).exclude(pk=user.pk)
    return others.exists() and not others.filter(role=User.Role.OWNER).exists()


@whole()
def close_account(*, user: User, delete_messages: bool, heir: User | None) -> None:
    """
    Delete an account. What its person said stays without a name, or goes.

    One transaction, so that nobody is ever half gone. Raises Refusal where the site needs an heir and none is
    given, or the heir has gone meanwhile. An account that has gone already stays so.
    """
    services.lock_roles()
    found, left = locks.find(user, heir)
    if found is None:
        return  # closed in another tab meanwhile
    if needs_heir(found):
        if heir is None or not heir.is_active:
            raise Refusal(_("A site needs an owner. Say who owns it after you."))
        if left is None or not services.proven().filter(pk=left.pk, is_active=True).exists():
            raise Refusal(
                _("%(name)s has no account here any more. Say who else owns the site after you.")
                % {"name": heir.username}
            )
        services.set_role(user=left, role=User.Role.OWNER)
    withdraw_mail(found)
    account_closing.send(sender=User, user=found, delete_messages=delete_messages)
    FormerUsername.objects.get_or_create(digest=found.name_digest)
    # Whoever writes something new about them waits from here on, and learns that they are gone.
    locks.take(found, to_delete=True)
    found.delete()


def close_account_of(*, user: User, owner: User, delete_messages: bool) -> None:
    """
    Delete somebody else's account, as an owner of the site. Raises Refusal for another owner's.

    Should it end half-way, the account is switched off and some of its messages are deleted; done again, it goes on.
    """
    switch_off(user)
    if delete_messages:
        messages_going.send(sender=User, user=user, deleter=owner)
    close_locked_account(user, delete_messages=delete_messages)


@whole()
def close_locked_account(user: User, *, delete_messages: bool) -> None:
    """Close it unless it has become an owner's."""
    close_account(user=locked_unless_owner(user), delete_messages=delete_messages, heir=None)


@whole()
def switch_off(user: User) -> None:
    """End what they do here, so that nothing is said meanwhile. Raises Refusal for an owner."""
    found = locked_unless_owner(user)
    found.is_active = False
    found.save(update_fields=["is_active"])


def locked_unless_owner(user: User) -> User:
    """The account as it is now, with the roles locked. Raises Refusal for an owner, and where it has gone."""
    services.lock_roles()
    found: User | None = locks.find(user)[0]
    if found is None:
        raise Refusal(_("This account was deleted meanwhile."))
    refuse_owners(found)
    return found


def refuse_owners(user: User) -> None:
    """Raise Refusal for an owner of the site, whose account nobody else closes."""
    if user.is_site_owner:
        name = {"name": user.username}
        raise Refusal(_("%(name)s owns this site. Give them another role first.") % name)


@transaction.atomic
def let_go(user: User) -> None:
    """Delete an account that nobody was ever in. Its name is free again: nobody has seen it used."""
    services.lock_roles()
    if proof.is_unproven(user):
        withdraw_mail(user)
        account_closing.send(sender=User, user=user, delete_messages=False)
        locks.take(user, to_delete=True)
        user.delete()


def withdraw_mail(user: User) -> None:
    """Send nothing more to addresses of somebody who goes."""
    outgoing.withdraw(*EmailAddress.objects.filter(user=user).values_list("email", flat=True))


def let_name_go(name: str) -> None:
    """Free a user name that somebody wants, where it is that of an account whose address was not confirmed for days."""
    before = timezone.now() - timedelta(days=limits.UNPROVEN_NAME_DAYS)
    digest = names.look_alike_digest(name)
    for user in proof.unproven().filter(name_digest=digest, date_joined__lt=before):
        let_go(user)


def lock_all_at(*emails: str, owner: User | None = None) -> None:
    """
    Lock whoever loses one of these addresses when somebody, `owner` or a new account, proves it.

    To be called before any room is locked, as by a new account, which is in the lobby at once (core/locks.py).
    """
    services.lock_roles()
    named = Q(pk__in=EmailAddress.objects.filter(email__in=emails).values("user"))
    for email in emails:
        named |= Q(email__iexact=email)
    locks.rows(User.objects.filter(named | Q(pk=owner and owner.pk)))


def let_address_go(*, email: str, owner: User) -> None:
    """
    Now that `owner` has proved the address, others who typed it lose it, and accounts that hold nothing else go.

    Who has been in such an account keeps the account: it was never the address that made it theirs.
    """
    for user in proof.unproven().filter(emailaddress__email=email).exclude(pk=owner.pk).distinct():
        let_go(user)
    for address in EmailAddress.objects.filter(email=email, verified=False).exclude(user=owner).select_related("user"):
        address.remove()
    User.objects.filter(email__iexact=email).exclude(pk=owner.pk).update(email="")


@transaction.atomic
def settle(*, user: User) -> None:
    """Give a new account, or one whose address was proved just now, what belongs to who has proved an address."""
    if not proof.can_prove():
        return
    services.lock_roles()
    if proof.is_unproven(user):
        return
    emails = list(EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True))
    lock_all_at(*emails, owner=user)
    services.claim_unowned_site(user=user)
    for email in emails:
        let_address_go(email=email, owner=user)

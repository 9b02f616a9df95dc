"""Closing an account: deleting the user, and what belongs to them alone."""

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

# Sent in the transaction that deletes an account, before the deletion, with `user` and `delete_messages`. Receivers
# hand over or delete what their app stores about the user.
account_closing = Signal()
# Sent before that, outside any transaction, when an owner closes the account of a user whose messages are to be
# deleted, with `user` and `deleter`: receivers delete large amounts in batches, so that rooms aren't locked for long.
messages_going = Signal()


def needs_heir(user: User) -> bool:
    """Return whether the site would lose its only owner while there is someone to take over."""
    if not user.is_site_owner:
        return False
    others = services.proven().filter(is_active=True).exclude(pk=user.pk)
    return others.exists() and not others.filter(role=User.Role.OWNER).exists()


@whole()
def close_account(*, user: User, delete_messages: bool, heir: User | None) -> None:
    """
    Delete an account. The user's messages stay without a name, or are deleted.

    A single transaction, so an account is never half deleted. Raises Refusal if the site needs an heir and none is
    given, or if the heir is gone. Does nothing if the account is already gone.
    """
    services.lock_roles()
    found, left = locks.find(user, heir)
    if found is None:
        return  # closed in another tab
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
    # From here on, inserting a row that refers to the user waits, and then fails since they are gone.
    locks.take(found, to_delete=True)
    found.delete()


def close_account_of(*, user: User, owner: User, delete_messages: bool) -> None:
    """
    Delete another user's account, as an owner of the site. Raises Refusal if it is an owner's.

    If it breaks off halfway, the account is deactivated and some messages are deleted; running it again continues.
    """
    switch_off(user)
    if delete_messages:
        messages_going.send(sender=User, user=user, deleter=owner)
    close_locked_account(user, delete_messages=delete_messages)


@whole()
def close_locked_account(user: User, *, delete_messages: bool) -> None:
    """Close the account, unless it has become an owner's."""
    close_account(user=locked_unless_owner(user), delete_messages=delete_messages, heir=None)


@whole()
def switch_off(user: User) -> None:
    """Deactivate the account, so that the user can't post any more. Raises Refusal for an owner."""
    found = locked_unless_owner(user)
    found.is_active = False
    found.save(update_fields=["is_active"])


def locked_unless_owner(user: User) -> User:
    """Lock the roles and return the current account. Raises Refusal if it is an owner's or gone."""
    services.lock_roles()
    found: User | None = locks.find(user)[0]
    if found is None:
        raise Refusal(_("This account was deleted meanwhile."))
    refuse_owners(found)
    return found


def refuse_owners(user: User) -> None:
    """Raise Refusal for an owner of the site, whose account no one else may close."""
    if user.is_site_owner:
        name = {"name": user.username}
        raise Refusal(_("%(name)s owns this site. Give them another role first.") % name)


@transaction.atomic
def let_go(user: User) -> None:
    """Delete the account if it was never proved or used. Its name is free again, since no one has seen it."""
    services.lock_roles()
    if proof.is_unproven(user):
        withdraw_mail(user)
        account_closing.send(sender=User, user=user, delete_messages=False)
        locks.take(user, to_delete=True)
        user.delete()


def withdraw_mail(user: User) -> None:
    """Delete queued mails to a departing user's addresses."""
    outgoing.withdraw(*EmailAddress.objects.filter(user=user).values_list("email", flat=True))


def let_name_go(name: str) -> None:
    """Free a username that someone wants if its account has had an unconfirmed address for days."""
    before = timezone.now() - timedelta(days=limits.UNPROVEN_NAME_DAYS)
    digest = names.look_alike_digest(name)
    for user in proof.unproven().filter(name_digest=digest, date_joined__lt=before):
        let_go(user)


def lock_all_at(*emails: str, owner: User | None = None) -> None:
    """
    Lock all users who lose one of these addresses when a user (`owner`, or a new account) proves it.

    Must be called before any room is locked; a new account joins the lobby at once (core/locks.py).
    """
    services.lock_roles()
    named = Q(pk__in=EmailAddress.objects.filter(email__in=emails).values("user"))
    for email in emails:
        named |= Q(email__iexact=email)
    locks.rows(User.objects.filter(named | Q(pk=owner and owner.pk)))


def let_address_go(*, email: str, owner: User) -> None:
    """
    Take the address away from others now that `owner` has proved it, and delete accounts that have nothing else.

    An account that has been used is kept: it never depended on the address.
    """
    for user in proof.unproven().filter(emailaddress__email=email).exclude(pk=owner.pk).distinct():
        let_go(user)
    for address in EmailAddress.objects.filter(email=email, verified=False).exclude(user=owner).select_related("user"):
        address.remove()
    User.objects.filter(email__iexact=email).exclude(pk=owner.pk).update(email="")


@transaction.atomic
def settle(*, user: User) -> None:
    """Give a new or newly proved account what a proved address entitles it to."""
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

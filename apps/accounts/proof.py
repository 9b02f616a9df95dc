"""
Who an address belongs to: the user who proved it.

If the site sends mail, an unproved address counts for nothing: anyone can enter anyone's. If it doesn't, no address can
be proved, and one belongs to whoever entered it first.
"""

from allauth.account.internal.userkit import filter_users_by_email
from allauth.account.models import EmailAddress
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from apps.accounts.models import User


def is_confirmed(email: str, *, but_by: User | None = None) -> bool:
    """Return whether a user other than `but_by` has proved the address."""
    return bool(EmailAddress.objects.filter(email=email.lower(), verified=True).exclude(user=but_by).exists())


def people_at(email: str) -> list[User]:
    """Return whose accounts a mail to the address may open: who proved it or, without mail, who entered it."""
    if can_prove():
        return list(User.objects.filter(emailaddress__email=email.lower(), emailaddress__verified=True, is_active=True))
    found: list[User] = filter_users_by_email(email, is_active=True, prefer_verified=True, for_login=True)
    return found


def owner_of(address: str) -> User | None:
    """Return the user who has proved the address."""
    found = EmailAddress.objects.filter(email=address.lower(), verified=True).select_related("user").first()
    return found.user if found and found.user.is_active else None


def address_to_tell(user: User, email: str | None = None) -> str:
    """Return where to notify a user about their account: `email` or another address they have proved; or empty."""
    theirs = EmailAddress.objects.filter(user=user, verified=True)
    found = theirs.filter(email=email).first() or theirs.order_by("-primary", "pk").first()
    return found.email if found else ""


def can_prove() -> bool:
    """Return whether addresses can be proved on this site."""
    return bool(settings.SENDS_MAIL)


def unproven() -> QuerySet[User]:
    """
    Return accounts that were signed up for under an address that was never proved, and that were never used.

    Such accounts hold nothing. An account created by an admin has no primary address in this table, and one from the
    time when the site sent no mail has been used: both belong to their users, whatever their address.
    """
    if not can_prove():
        return User.objects.none()
    theirs = EmailAddress.objects.filter(user=OuterRef("pk"))
    return User.objects.filter(
        Exists(theirs.filter(primary=True, verified=False)), ~Exists(theirs.filter(verified=True)), last_login=None
    )


def is_unproven(user: User) -> bool:
    """Return whether the account was signed up for, but never proved or used."""
    return user.last_login is None and unproven().filter(pk=user.pk).exists()

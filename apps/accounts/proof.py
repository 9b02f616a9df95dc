"""
Whose an address is: whoever proved it.

Where the site sends mail, an address that nobody proved counts for nothing: anybody can type anybody's. Where it does
not, nobody can prove one, and addresses go by who gave them first.
"""

from allauth.account.internal.userkit import filter_users_by_email
from allauth.account.models import EmailAddress
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from apps.accounts.models import User


def is_confirmed(email: str, *, but_by: User | None = None) -> bool:
    """Whether somebody, other than `but_by`, has proved that the address is theirs."""
    return bool(EmailAddress.objects.filter(email=email.lower(), verified=True).exclude(user=but_by).exists())


def people_at(email: str) -> list[User]:
    """Whose account a mail to this address may open: with mail, who proved it; else those who gave it."""
    if can_prove():
        return list(User.objects.filter(emailaddress__email=email.lower(), emailaddress__verified=True, is_active=True))
    found: list[User] = filter_users_by_email(email, is_active=True, prefer_verified=True, for_login=True)
    return found


def owner_of(address: str) -> User | None:
    """Who has proved that the address is theirs."""
    found = EmailAddress.objects.filter(email=address.lower(), verified=True).select_related("user").first()
    return found.user if found and found.user.is_active else None


def address_to_tell(user: User, email: str | None = None) -> str:
    """Where somebody is told what happened to their account: `email`, or another that they have proved; or empty."""
    theirs = EmailAddress.objects.filter(user=user, verified=True)
    found = theirs.filter(email=email).first() or theirs.order_by("-primary", "pk").first()
    return found.email if found else ""


def can_prove() -> bool:
    """Whether anybody can prove that an address is theirs."""
    return bool(settings.SENDS_MAIL)


def unproven() -> QuerySet[User]:
    """
    Accounts that somebody made for themself under an address that they never proved, and so were never in.

    Such an account holds nothing of anybody's. Made by hand, an account has no primary address in this table; one of
    the time when the site sent no mail has been used. Both are their people's, whatever address stands there.
    """
    if not can_prove():
        return User.objects.none()
    theirs = EmailAddress.objects.filter(user=OuterRef("pk"))
    return User.objects.filter(
        Exists(theirs.filter(primary=True, verified=False)), ~Exists(theirs.filter(verified=True)), last_login=None
    )


def is_unproven(user: User) -> bool:
    """Whether somebody has yet to prove that they are who they said when they made the account."""
    return user.last_login is None and unproven().filter(pk=user.pk).exists()

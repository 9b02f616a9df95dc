"""Operations on accounts: names, roles and profiles."""

import logging

from django.core.exceptions import ValidationError
from django.db.models import Case, IntegerField, Q, QuerySet, When
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts import names, proof
from apps.accounts.models import FormerUsername, Invitation, User
from apps.core import letters, locks
from apps.core.database import whole
from apps.core.errors import Refusal

logger = logging.getLogger(__name__)

# For the operator, so not translated.
NO_OWNER = (
    "Nobody owns this site: make an owner with `manage.py createsuperuser` (a new user name), sign in as them,"
    " and give roles at /site/."
)


def lock_roles() -> None:
    """Serialise transactions that decide who owns the site."""
    locks.who_is_here()


@whole()
def claim_unowned_site(*, user: User) -> None:
    """
    Make `user` the owner if no one else has an account: with the role and access to Django's admin.

    Demonstration users don't count, nor do users with an unproved address. If others have accounts but none is an
    owner, the operator has to name one (apps/accounts/checks.py): a stranger must not get hold of what they wrote.
    """
    lock_roles()
    if not people().exclude(pk=user.pk).exists():
        for other in proof.unproven().filter(role=User.Role.OWNER).exclude(pk=user.pk):
            set_role(user=other, role=User.Role.MEMBER)
        set_role(user=user, role=User.Role.OWNER)
    elif not has_owner():
        logger.warning(NO_OWNER)


def proven() -> QuerySet[User]:
    """Return the accounts except sign-ups that were never proved or used."""
    return User.objects.exclude(pk__in=proof.unproven())


def people() -> QuerySet[User]:
    """Return the site's actual users."""
    return proven().filter(is_demonstration=False)


def has_owner() -> bool:
    """Return whether the site has an owner who can sign in."""
    return proven().filter(role=User.Role.OWNER, is_active=True).exists()


def set_role(*, user: User, role: str) -> None:
    """
    Give a user a role on the site. Owners get access to Django's admin.

    Becoming a member revokes the user's open invitations to the site, for good.
    """
    if role == User.Role.MEMBER:
        Invitation.objects.filter(made_by=user, room=None, revoked_at=None).update(revoked_at=timezone.now())
    user.role = role
    user.is_staff = user.is_superuser = role == User.Role.OWNER
    user.save(update_fields=["role", "is_staff", "is_superuser"])


@whole()
def change_role(*, user: User, role: str) -> None:
    """
    Give a user a role on the site.

    Raises Refusal if the site would be left without an owner, or if the account is gone.
    """
    lock_roles()
    if locks.find(user) == [None]:
        raise Refusal(_("This account was deleted meanwhile."))
    owners = proven().filter(role=User.Role.OWNER, is_active=True)
    if role != User.Role.OWNER and not owners.exclude(pk=user.pk).exists():
        raise Refusal(_("A site needs an owner. Make somebody else an owner first."))
    set_role(user=user, role=role)


def people_by_role(query: str = "") -> QuerySet[User]:
    """Return all users, inactive ones included, owners first; with `query`, those whose names contain it."""
    rank = Case(*(When(role=role, then=number) for number, role in enumerate(User.Role)), output_field=IntegerField())
    people = User.objects.alias(rank=rank).order_by("rank", "username")
    if query:
        people = people.filter(Q(name_key__contains=letters.key(query)) | Q(display_key__contains=letters.key(query)))
    return people


def person_named(typed: str, among: QuerySet[User]) -> User | None:
    """
    Return the user with the username as typed, in any case and normal form.

    Older rules allowed several such names; of these, the exact match is returned.
    """
    name = names.normalized(typed)
    found = among.filter(Q(name_key=letters.key(name)) | Q(username__in={typed.strip(), name}))
    return min(found, key=lambda user: (user.username != name, user.pk), default=None)


def account_named(typed: str) -> User | None:
    """Return the active user with the username as typed, optionally after an @."""
    return person_named(names.normalized(typed).removeprefix("@"), proven().filter(is_active=True))


def clean_username(username: str, *, user: User | None = None, only_characters: bool = False) -> str:
    """
    Return the username as it will be stored, for `user` or for a new account.

    Raises ValidationError if it is invalid, or looks like one that someone else has or had.
    """
    name = names.normalized(username)
    names.check_characters(name)
    if names.is_reserved(name):
        raise ValidationError(_("This name stands for people who have left. Choose another."), code="reserved")
    if not only_characters and name_is_taken(name, user):
        raise ValidationError(
            _("Somebody here has this user name, or one that looks like it. Choose another."), code="username_taken"
        )
    return name


def name_is_taken(name: str, user: User | None) -> bool:
    """Return whether someone other than `user` has or had a name that looks like this one."""
    digest = names.look_alike_digest(name)
    others = User.objects.filter(name_digest=digest) | User.objects.filter(name_key=letters.key(name))
    former = FormerUsername.objects.filter(digest__in=names.look_alike_digests(name))
    if user:
        others, former = others.exclude(pk=user.pk), former.exclude(user=user)
    return others.exists() or former.exists()


@whole()
def change_username(*, user: User, username: str) -> User:
    """
    Change a username to one from `clean_username`. The old one keeps leading to the user.

    Raises locks.Gone if the account has been deleted.
    """
    locks.who_is_here()
    (user,) = locks.take(user)
    digest = names.look_alike_digest(username)
    if digest != user.name_digest:
        FormerUsername.objects.get_or_create(digest=user.name_digest, defaults={"user": user})
        user.former_usernames.filter(digest=digest).delete()
    user.username, user.name_digest, user.name_key = username, digest, letters.key(username)
    user.save(update_fields=["username", "name_digest", "name_key"])
    user.have_others_told_apart()
    return user


@whole()
def store_profile(*, user: User, fields: list[str]) -> None:
    """
    Store a profile changed by a form; a user who could be mistaken for another is shown with both names.

    Raises locks.Gone if the account has been deleted.
    """
    locks.who_is_here()
    locks.take(user)
    user.set_display_keys()
    user.shows_username = bool(user.display_name) and others_called(user.display_digest, user).exists()
    user.save(update_fields=[*fields, "display_key", "display_digest", "shows_username"])
    user.have_others_told_apart()


def others_called(digest: str, user: User) -> QuerySet[User]:
    """Return other users with a username or display name that looks like this."""
    return User.objects.filter(Q(display_digest=digest) | Q(name_digest=digest)).exclude(pk=user.pk)


@whole()
def give_missing_keys() -> None:
    """
    Give keys to accounts that processes of an older version created during an upgrade.

    As with names from before there were keys: if others have a name's key, it is found by its own spelling.
    """
    locks.who_is_here()
    for user in locks.rows(User.objects.filter(name_key=None)):
        others, old_digest = User.objects.exclude(pk=user.pk), user.name_digest
        user.set_name_keys()
        user.set_display_keys()
        if others.filter(name_key=user.name_key).exists():
            user.name_key = f"{user.name_key} {user.pk}"
        if others.filter(name_digest=user.name_digest).exists():
            user.name_digest = old_digest
        user.shows_username = bool(user.display_name) and others_called(user.display_digest, user).exists()
        user.save(update_fields=["name_key", "name_digest", "display_key", "display_digest", "shows_username"])
        user.have_others_told_apart()

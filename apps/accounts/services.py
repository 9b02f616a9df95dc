"""Verbs about accounts."""

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

# For who runs the site, so not translated.
NO_OWNER = (
    "Nobody owns this site: make an owner with `manage.py createsuperuser` (a new user name), sign in as them,"
    " and give roles at /site/."
)


def lock_roles() -> None:
    """Let one transaction at a time decide who owns the site."""
    locks.who_is_here()


@whole()
def claim_unowned_site(*, user: User) -> None:
    """
    Make `user` the owner of a site where nobody else has an account: the role, and the keys to Django's admin.

    People made for demonstration do not count, nor who has not proved their address. Where others have an account and
    none of them is an owner, whoever runs the site says who is (apps/accounts/checks.py): a stranger must not own what
    they wrote.
    """
    lock_roles()
    if not people().exclude(pk=user.pk).exists():
        for other in proof.unproven().filter(role=User.Role.OWNER).exclude(pk=user.pk):
            set_role(user=other, role=User.Role.MEMBER)
        set_role(user=user, role=User.Role.OWNER)
    elif not has_owner():
        logger.warning(NO_OWNER)


def proven() -> QuerySet[User]:
    """Accounts but for those whose address was never proved, which nobody was ever in."""
    return User.objects.exclude(pk__in=proof.unproven())


def people() -> QuerySet[User]:
    """Those whose site this is."""
    return proven().filter(is_demonstration=False)


def has_owner() -> bool:
    """Whether somebody who can sign in owns the site."""
    return proven().filter(role=User.Role.OWNER, is_active=True).exists()


def set_role(*, user: User, role: str) -> None:
    """
    Give somebody a role on the site. Owners have the keys to Django's admin.

    Links to the site that they made end with the right to make them, and do not come back with it.
    """
    if role == User.Role.MEMBER:
        Invitation.objects.filter(made_by=user, room=None, revoked_at=None).update(revoked_at=timezone.now())
    user.role = role
    user.is_staff = user.is_superuser = role == User.Role.OWNER
    user.save(update_fields=["role", "is_staff", "is_superuser"])


@whole()
def change_role(*, user: User, role: str) -> None:
    """
    Give somebody a role on the site.

    Raises Refusal where that would leave the site without an owner, or where the account has gone.
    """
    lock_roles()
    if locks.find(user) == [None]:
        raise Refusal(_("This account was deleted meanwhile."))
    owners = proven().filter(role=User.Role.OWNER, is_active=True)
    if role != User.Role.OWNER and not owners.exclude(pk=user.pk).exists():
        raise Refusal(_("A site needs an owner. Make somebody else an owner first."))
    set_role(user=user, role=role)


def people_by_role(query: str = "") -> QuerySet[User]:
    """Those with an account, or who is switched off, owners first; with `query`, those whose names have it."""
    rank = Case(*(When(role=role, then=number) for number, role in enumerate(User.Role)), output_field=IntegerField())
    people = User.objects.alias(rank=rank).order_by("rank", "username")
    if query:
        people = people.filter(Q(name_key__contains=letters.key(query)) | Q(display_key__contains=letters.key(query)))
    return people


def person_named(typed: str, among: QuerySet[User]) -> User | None:
    """
    Who of them has the user name that somebody typed, in whatever case and normal form.

    Of those whose names older rules let in beside others, who has just this one.
    """
    name = names.normalized(typed)
    found = among.filter(Q(name_key=letters.key(name)) | Q(username__in={typed.strip(), name}))
    return min(found, key=lambda user: (user.username != name, user.pk), default=None)


def account_named(typed: str) -> User | None:
    """The active account whose user name somebody typed, perhaps with an @ before it."""
    return person_named(names.normalized(typed).removeprefix("@"), proven().filter(is_active=True))


def clean_username(username: str, *, user: User | None = None, only_characters: bool = False) -> str:
    """
    The name as it will be stored, for `user` or for a new account.

    Raises ValidationError where it is no user name, or looks like one that somebody else has or had.
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
    """Whether another than `user` has or had a name that looks like this one."""
    digest = names.look_alike_digest(name)
    others = User.objects.filter(name_digest=digest) | User.objects.filter(name_key=letters.key(name))
    former = FormerUsername.objects.filter(digest__in=names.look_alike_digests(name))
    if user:
        others, former = others.exclude(pk=user.pk), former.exclude(user=user)
    return others.exists() or former.exists()


@whole()
def change_username(*, user: User, username: str) -> User:
    """
    Give somebody another name, which `clean_username` has passed. The old one goes on leading to them.

    Raises locks.Gone for an account that was deleted meanwhile.
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
    Store what a form has put into one's profile; who could be taken for another is shown with both names.

    Raises locks.Gone for an account that was deleted meanwhile.
    """
    locks.who_is_here()
    locks.take(user)
    user.set_display_keys()
    user.shows_username = bool(user.display_name) and others_called(user.display_digest, user).exists()
    user.save(update_fields=[*fields, "display_key", "display_digest", "shows_username"])
    user.have_others_told_apart()


def others_called(digest: str, user: User) -> QuerySet[User]:
    """Others than the user with a name, of either kind, that looks like this."""
    return User.objects.filter(Q(display_digest=digest) | Q(name_digest=digest)).exclude(pk=user.pk)

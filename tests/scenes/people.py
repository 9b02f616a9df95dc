"""Users of a running site: their roles, preferences, addresses, sessions and pictures."""

from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypedDict, Unpack

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.accounts import pictures
from apps.accounts.models import SiteRules, User
from apps.chat.management.commands.populate import write_sessions
from apps.rooms.models import Membership, Room


class Preferences(TypedDict, total=False):
    """What a test sets; the rest stays as it is."""

    language: str
    time_zone: str
    clock: str
    reading_order: str
    says_sent: bool
    says_changes: bool


def set_preferences(of_each: dict[str, Preferences]) -> None:
    """Set these, by username."""
    for username, preferences in of_each.items():
        User.objects.filter(username=username).update(**preferences)


def set_preferences_of_all(**preferences: Unpack[Preferences]) -> None:
    """Set these for all users."""
    User.objects.update(**preferences)


def reset_what_is_announced() -> None:
    """Give all users the defaults for what is announced, and how."""
    User.objects.update(reading_order="", says_sent=False, says_changes=False, letter_keys=True)
    Membership.objects.update(announces="all")


def make_site_owner(username: str, *, opens_admin: bool = False) -> None:
    """Let the user own the site."""
    User.objects.filter(username=username).update(role="owner", is_staff=opens_admin, is_superuser=opens_admin)


def ids() -> dict[str, int]:
    """Each user's id, by username."""
    return dict(User.objects.order_by("username").values_list("username", "pk"))


def count_named(prefix: str) -> int:
    """How many usernames begin like this."""
    return User.objects.filter(username__startswith=prefix).count()


def add_address(username: str, email: str) -> None:
    """Give a user, who is created if need be, a confirmed address."""
    user, _ = User.objects.get_or_create(username=username)
    User.objects.filter(pk=user.pk).update(email=email)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)


def count_accounts_elsewhere(username: str) -> int:
    """How many accounts at providers the user has connected."""
    count: int = SocialAccount.objects.filter(user__username=username).count()
    return count


def count_accounts_that_mention(text: str) -> int:
    """How many connected accounts have this anywhere in what the provider said of them."""
    count: int = SocialAccount.objects.filter(extra_data__icontains=text).count()
    return count


def store_picture(username: str) -> None:
    """Give the user a picture of every byte."""
    user = User.objects.get(username=username)
    pictures.store(user=user, small=bytes(range(256)), large=bytes(range(255, -1, -1)) * 40)


def new_sessions() -> list[str]:
    """Sign in all populated users again; returns their session keys in the order of the users."""
    users = User.objects.filter(username__startswith="user").order_by("pk")
    with NamedTemporaryFile() as file:
        write_sessions(list(users), Path(file.name))
        return Path(file.name).read_text().splitlines()


def end_all_sessions() -> None:
    """Sign out everyone, without telling the site's process."""
    Session.objects.all().delete()


def let_session_end(key: str, *, seconds: int) -> None:
    """Have a session expire soon."""
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() + timedelta(seconds=seconds))


def require_second_factor(*, with_one: str, without: str) -> None:
    """Make both users moderators, who need a second factor from now on; one of them has one."""
    User.objects.filter(username__in=[with_one, without]).update(role="moderator")
    SiteRules.objects.create(pk=1, staff_need_second_factor=True)
    user = User.objects.get(username=with_one)
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": "x"})


def require_no_second_factor() -> None:
    """Take back what `require_second_factor` changed."""
    SiteRules.objects.all().delete()
    User.objects.update(role="member")


def shut_out_silently(slug: str, *, switched_off: str, removed: str) -> None:
    """Switch off one account and remove another from the room, now private; no signal is sent for either."""
    User.objects.filter(username=switched_off).update(is_active=False)
    Room.objects.filter(slug=slug).update(access="private")
    Membership.objects.filter(user__username=removed).delete()


def switch_on_all() -> None:
    """Switch on all accounts."""
    User.objects.update(is_active=True)

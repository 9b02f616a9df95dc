"""
Browsers where a user has signed in before: strangers' wrong passwords don't lock the account's owner out there.

For each of a few accounts, a cookie holds a random name for the browser, the time it was issued, and a signature over
both, the account and its password. It names no account: only someone trying an account learns whether it is valid for
it. It becomes worthless when the password changes or the account is deleted. (OWASP calls this device cookies.)
"""

import re
import time
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare, get_random_string, salted_hmac

from apps.accounts.models import User
from apps.core import limits
from apps.core.hashing import digest

COOKIE = "devices"
# Where users sign in and reauthenticate.
PATH = "/accounts/"
KNOWN_SECONDS = 365 * 24 * 3600
SALT = "apps.accounts.known_devices"


@dataclass(frozen=True)
class Entry:
    """The cookie's entry for one account."""

    device: str
    given_at: int
    seal: str

    def __str__(self) -> str:
        return f"{self.device}.{self.given_at}.{self.seal}"

    def is_good_for(self, user: User) -> bool:
        """Return whether it was issued to this account, with its current password, and not too long ago."""
        is_fresh = 0 <= time.time() - self.given_at < KNOWN_SECONDS
        return is_fresh and constant_time_compare(self.seal, seal_of(self.device, self.given_at, user))


def seal_of(device: str, given_at: int, user: User) -> str:
    """Return the signature of an entry."""
    value = f"{user.pk}.{device}.{given_at}.{user.get_session_auth_hash()}"
    return salted_hmac(SALT, value, algorithm="sha256").hexdigest()


def entries_in(request: HttpRequest) -> list[Entry]:
    """Return the entries that the browser sent, newest first. They are untrusted."""
    found = re.findall(r"(\w{16})\.(\d{1,12})\.([0-9a-f]{64})", request.COOKIES.get(COOKIE, "")[:4096], re.ASCII)
    return [Entry(device, int(given_at), seal) for device, given_at, seal in found][: limits.MAX_KNOWN_ACCOUNTS]


def known_name(request: HttpRequest, user: User | None) -> str | None:
    """
    Return a name for the browser if `user` has signed in there before, or is signed in now.

    An unknown user takes as much work: otherwise the response time to a long cookie would tell the two apart.
    """
    user = user or User(pk=0)
    if request.user.pk == user.pk and request.session.session_key:
        return f"session.{digest(request.session.session_key)}"
    entry = next((one for one in entries_in(request) if one.is_good_for(user)), None)
    return f"device.{user.pk}.{entry.device}" if entry else None


def remember(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Set the cookie after `user` has signed in. The browser keeps its name, and thereby its count of attempts."""
    entries = entries_in(request)
    own = next((one for one in entries if one.is_good_for(user)), None)
    device, now = own.device if own else get_random_string(16), int(time.time())
    entries = [Entry(device, now, seal_of(device, now, user)), *(one for one in entries if one != own)]
    response.set_cookie(
        COOKIE,
        "~".join(map(str, entries[: limits.MAX_KNOWN_ACCOUNTS])),
        max_age=KNOWN_SECONDS,
        path=PATH,
        secure=bool(settings.SESSION_COOKIE_SECURE),
        httponly=True,
        samesite="Lax",
    )

"""Who an open page belongs to, and whether they are still signed in as when it was opened."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from math import inf

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, load_backend
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from apps.accounts.models import User
from apps.accounts.second_factor import staff_without_one

# Values per query.
SESSIONS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class SignIn:
    """A user in a browser; anonymous if `user_id` is None. `expires` is in seconds since the epoch."""

    user_id: int | None
    session_key: str = ""
    # Changes with the password; the session's own copy doesn't.
    auth_hash: str = ""
    expires: float = inf


NOBODY = SignIn(user_id=None)


class Ending(Enum):
    """Why a sign-in has ended."""

    SIGNED_OUT = 1
    # The session is gone, perhaps only to a new key: the browser then has that, and may reconnect.
    MOVED = 2
    # The user now must have a second factor, and has none.
    BARRED = 3


def sign_in_from(session_key: str | None) -> tuple[User | AnonymousUser, SignIn]:
    """
    Return the session's user and sign-in.

    Like `django.contrib.auth.get_user`, but never changes the session: a WebSocket can't set the browser's cookie.
    """
    row = Session.objects.filter(session_key=session_key or "", expire_date__gt=timezone.now()).first()
    if row is None:
        return AnonymousUser(), NOBODY
    session = row.get_decoded()
    user_id, backend = session.get(SESSION_KEY), session.get(BACKEND_SESSION_KEY)
    if user_id is None or backend not in settings.AUTHENTICATION_BACKENDS:
        return AnonymousUser(), NOBODY
    user = load_backend(backend).get_user(user_id)
    if not isinstance(user, User):
        return AnonymousUser(), NOBODY
    auth_hash = user.get_session_auth_hash()
    known = session.get(HASH_SESSION_KEY, "")
    if not any(constant_time_compare(known, one) for one in (auth_hash, *user.get_session_auth_fallback_hash())):
        return AnonymousUser(), NOBODY
    return user, SignIn(user.pk, row.session_key, auth_hash, row.expire_date.timestamp())


def which_ended(sign_ins: Iterable[SignIn]) -> dict[SignIn, Ending]:
    """
    Return the sign-ins that have ended, and why: two queries for every SESSIONS_AT_ONCE of them, and two more if the
    site's owners or moderators are among them.
    """
    ended: dict[SignIn, Ending] = {}
    left = iter(sign_ins)
    while some := list(islice(left, SESSIONS_AT_ONCE)):
        keys = [one.session_key for one in some]
        sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
        living = set(sessions.values_list("session_key", flat=True))
        users = User.objects.filter(pk__in={one.user_id for one in some}, is_active=True)
        users = users.only("password", "role")
        hashes = {user.pk: user.get_session_auth_hash() for user in users}
        staff = [user.pk for user in users if user.is_site_moderator]
        barred = staff_without_one(staff) if staff else set()
        for one in some:
            if one.user_id not in hashes:
                ended[one] = Ending.SIGNED_OUT
            elif one.session_key not in living:
                ended[one] = Ending.MOVED
            elif hashes[one.user_id] != one.auth_hash:
                ended[one] = Ending.SIGNED_OUT
            elif one.user_id in barred:
                ended[one] = Ending.BARRED
    return ended

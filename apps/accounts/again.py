"""
Saying again who one is, for somebody who has neither a password nor a second factor: who signs in from elsewhere only.

django-allauth asks these people nothing (`did_recently_reauthenticate`), so whoever sits down at their open browser
could give the account a password of their own.
"""

import time
from typing import Any

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.socialaccount.models import SocialAccount
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts import proof
from apps.accounts.models import User

# In the session: the code that was mailed, and how often another was entered.
STATE = "code_to_say_again"


def methods_for(user: User) -> list[dict[str, Any]]:
    """The ways that are open, as django-allauth lists its own: a mailed code or, without mail, signing in again."""
    if address_of(user):
        return [way("reauthenticate_by_code", _("Send me a code by mail"))]
    if SocialAccount.objects.filter(user=user).exists():
        return [way("reauthenticate_elsewhere", _("Sign in again"))]
    return []


def way(name: str, description: str) -> dict[str, Any]:
    """One of them."""
    return {"id": name, "description": description, "url": reverse(name)}


def address_of(user: User) -> str:
    """Where a code reaches nobody else; empty without such an address, and where the site sends no mail."""
    return proof.address_to_tell(user) if proof.can_prove() else ""


def must_say_again(request: HttpRequest) -> bool:
    """Whether the viewer has another way than a password or a factor, and has not used it within the last minutes."""
    user = request.user
    if not isinstance(user, User) or get_reauthentication_flows(user) or not methods_for(user):
        return False
    latest = max((one["at"] for one in get_authentication_records(request, user)), default=0.0)
    return bool(time.time() - latest >= app_settings.REAUTHENTICATION_TIMEOUT)


def expect_code(request: HttpRequest, code: str) -> None:
    """Remember what was mailed."""
    request.session[STATE] = {"code": code, "at": time.time(), "tries": 0}


def expected_code(request: HttpRequest) -> str:
    """The code that is good now, or an empty string."""
    state = request.session.get(STATE, {})
    is_fresh = time.time() - state.get("at", 0) < app_settings.LOGIN_BY_CODE_TIMEOUT
    return str(state["code"]) if is_fresh and state["tries"] < app_settings.LOGIN_BY_CODE_MAX_ATTEMPTS else ""


def count_wrong_code(request: HttpRequest) -> None:
    """A code is good for a few tries."""
    if state := request.session.get(STATE):
        request.session[STATE] = state | {"tries": state["tries"] + 1}


def note_right_code(request: HttpRequest) -> None:
    """The viewer has shown who they are; the code is used up."""
    request.session.pop(STATE, None)
    record_authentication(request, request.user, method="code", reauthenticated=True)

"""
Reauthentication for users with neither a password nor a second factor: those who only sign in with a provider.

django-allauth asks these users for nothing (`did_recently_reauthenticate`), so anyone at their unlocked computer could
set a password of their own on the account.
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

# Session key: the code mailed, and the number of wrong tries.
STATE = "code_to_say_again"


def methods_for(user: User) -> list[dict[str, Any]]:
    """Return the available methods in django-allauth's format: a mailed code or, without mail, signing in again."""
    if address_of(user):
        return [way("reauthenticate_by_code", _("Send me a code by mail"))]
    if SocialAccount.objects.filter(user=user).exists():
        return [way("reauthenticate_elsewhere", _("Sign in again"))]
    return []


def way(name: str, description: str) -> dict[str, Any]:
    """Return one method."""
    return {"id": name, "description": description, "url": reverse(name)}


def address_of(user: User) -> str:
    """Return an address where a code reaches no one else; empty if there is none, or if the site sends no mail."""
    return proof.address_to_tell(user) if proof.can_prove() else ""


def must_say_again(request: HttpRequest) -> bool:
    """Return whether the viewer depends on these methods and has not authenticated within the last minutes."""
    user = request.user
    if not isinstance(user, User) or get_reauthentication_flows(user) or not methods_for(user):
        return False
    latest = max((one["at"] for one in get_authentication_records(request, user)), default=0.0)
    return bool(time.time() - latest >= app_settings.REAUTHENTICATION_TIMEOUT)


def expect_code(request: HttpRequest, code: str) -> None:
    """Remember the code that was mailed."""
    request.session[STATE] = {"code": code, "at": time.time(), "tries": 0}


def expected_code(request: HttpRequest) -> str:
    """Return the code that is currently valid, or an empty string."""
    state = request.session.get(STATE, {})
    is_fresh = time.time() - state.get("at", 0) < app_settings.LOGIN_BY_CODE_TIMEOUT
    return str(state["code"]) if is_fresh and state["tries"] < app_settings.LOGIN_BY_CODE_MAX_ATTEMPTS else ""


def count_wrong_code(request: HttpRequest) -> None:
    """Count a failed try; a code allows only a few."""
    if state := request.session.get(STATE):
        request.session[STATE] = state | {"tries": state["tries"] + 1}


def note_right_code(request: HttpRequest) -> None:
    """Record the reauthentication; the code is used up."""
    request.session.pop(STATE, None)
    record_authentication(request, request.user, method="code", reauthenticated=True)

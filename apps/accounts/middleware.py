"""Rules that apply to every page."""

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.accounts.second_factor import NEEDED, lacks_one
from apps.core.kept import would_lose
from apps.core.middleware import GetResponse
from apps.core.views import problem

# Paths for setting up a second factor, signing out or closing the account; and public ones.
OPEN_PATHS = ("/accounts/", "/people/pictures/", "/words/", "/language/", "/accessibility/", "/keys/")


@sync_and_async_middleware
def staff_second_factor(get_response: GetResponse) -> GetResponse:
    """Redirect owners and moderators without a required second factor to the page where they set one up."""
    if not iscoroutinefunction(get_response):

        def middleware(request: HttpRequest) -> HttpResponseBase:
            if (user := staff_elsewhere(request)) and lacks_one(user):
                return to_second_factor(request)
            response: HttpResponseBase = get_response(request)
            return response

        return middleware

    async def async_middleware(request: HttpRequest) -> HttpResponseBase:
        if (user := staff_elsewhere(request)) and await sync_to_async(lacks_one)(user):
            return await sync_to_async(to_second_factor)(request)
        response: HttpResponseBase = await get_response(request)
        return response

    return async_middleware


def staff_elsewhere(request: HttpRequest) -> User | None:
    """Return the viewer if they are staff and the page is subject to the rule; for all others, no query is needed."""
    user = request.user
    if not isinstance(user, User) or not user.is_site_moderator or request.path.startswith(OPEN_PATHS):
        return None
    return user


def to_second_factor(request: HttpRequest) -> HttpResponseBase:
    """Redirect there with the reason; scripts and forms get an error page that keeps the text."""
    if would_lose(request):
        return problem(request, 403, _("You may not do that"), str(NEEDED))
    messages.warning(request, NEEDED)
    return redirect("mfa_index")

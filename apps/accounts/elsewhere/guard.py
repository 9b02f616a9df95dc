"""Wraps the views that call providers: limited in number and time, and never failing as an error of ours."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp
from allauth.urls import build_provider_urlpatterns
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver

from apps.accounts.elsewhere import answers, calls
from apps.core import limits
from apps.core.limited import limited

# What django-allauth's providers raise for responses of an unexpected shape.
ODD = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError, ImproperlyConfigured)
# The providers of django-allauth that pass on the claims of an ID token.
ID_TOKENS = {"google", "apple"}
# Request attribute: set once the provider's data is accepted, after which errors are this site's fault.
TAKEN = "provider_said"


class BusyError(Exception):
    """Too many pages are calling providers."""


class Places:
    """Limits how many pages call providers at once; others wait briefly."""

    def __init__(self) -> None:
        self.free = threading.Semaphore(limits.PROVIDER_PAGES)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take a place. Raises BusyError."""
        if not self.free.acquire(timeout=limits.PROVIDER_QUEUE_SECONDS):
            raise BusyError
        try:
            yield
        finally:
            self.free.release()


places = Places()


def believing(provider: Any) -> Any:
    """Wrap a django-allauth provider of any kind so that it validates what it is told."""
    take = provider.sociallogin_from_response

    def take_checked(request: HttpRequest, response: Any) -> Any:
        try:
            answers.require_plain(response)
            if not isinstance(response, dict):
                raise answers.BadAnswerError("What it tells of a person is no object.")
            if provider.id in ID_TOKENS:
                require_current(response, provider.app.client_id)
            login = take(request, answers.with_plain_yes(response))
            require_texts(login)
        except ODD as error:
            raise answers.BadAnswerError(f"It tells of a person in another shape ({type(error).__name__}).") from error
        setattr(request, TAKEN, True)
        return login

    provider.sociallogin_from_response = take_checked
    return provider


def require_current(claims: dict[str, Any], client_ids: str) -> None:
    """Check the times and azp of claims; django-allauth checked issuer and audience. Apple may have several ids."""
    answers.require_in_time(claims)
    if claims.get("azp") not in (None, *client_ids.split(",")):
        raise answers.BadAnswerError("The ID token was made at another's request (azp).")


def require_texts(login: Any) -> None:
    """Raise BadAnswerError if anything but text is about to be stored."""
    user = login.user
    for text in (login.account.uid, user.username, user.email, user.first_name, user.last_name):
        if not isinstance(text, str):
            raise answers.BadAnswerError("It tells of a person what is no text.")
        answers.require_text(text)


def guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Guard a view of any django-allauth provider: the one that redirects there, or its callback."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with places.taken(), calls.one_exchange():
                return view(request, *args, **kwargs)
        except BusyError as error:
            return busy(request, error)
        except ODD as error:
            if getattr(request, TAKEN, False):
                raise
            odd = answers.BadAnswerError(f"It answers in another shape ({type(error).__name__}).")
            failed: HttpResponse = render_authentication_error(request, provider_of(request), exception=odd)
            return failed

    return checked


def busy(request: HttpRequest, error: BusyError) -> HttpResponse:
    """Return 503: it may work in a moment."""
    response: HttpResponse = render_authentication_error(request, provider_of(request), exception=error)
    response.status_code = 503
    response.headers["Retry-After"] = "10"
    return response


def provider_of(request: HttpRequest) -> Any:
    """Return the provider that the view belongs to, by its URL."""
    match = request.resolver_match
    name = match and (match.kwargs.get("provider_id") or str(match.url_name).partition("_")[0])
    try:
        return get_adapter(request).get_provider(request, name)
    except (SocialApp.DoesNotExist, *ODD):
        return None


def provider_urls() -> list[URLPattern | URLResolver]:
    """Return the URLs of all django-allauth providers, with guarded views."""
    return [with_guards(one) for one in build_provider_urlpatterns()]


def with_guards(one: URLPattern | URLResolver) -> URLPattern | URLResolver:
    """Return a guarded copy; the providers' own modules stay unchanged."""
    if isinstance(one, URLPattern):
        view = limited("elsewhere")(guarded(one.callback))
        return URLPattern(one.pattern, view, one.default_args, one.name)
    below = [with_guards(each) for each in one.url_patterns]
    return URLResolver(one.pattern, below, one.default_kwargs, one.app_name, one.namespace)

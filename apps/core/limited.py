"""Rate limits for POSTs: a decorator on the view, with the numbers in apps/core/limits.py."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

from allauth.core.internal import ratelimit
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.cache import cache
from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.core import limits
from apps.core.turns import TooBusyError
from apps.core.views import advice_to_wait, too_many_requests

View = TypeVar("View", bound=Callable[..., Any])

# Prefix of our keys in django-allauth's cached counters.
APP = "apps.core.limited"
# Request attributes: the usage counted for it, or how many seconds it is too early.
TAKEN, WAIT = "taken_of_limit", "seconds_too_early"


def limited(action: str, *, counts_refusals: bool = False, in_form: bool = False) -> Callable[[View], View]:
    """
    Answer POSTs beyond limits.RATES[action] with a page that says when to retry, and keeps what was typed.

    Reads are never limited. A POST that the view refuses doesn't count, unless finding out is the expensive part
    (`counts_refusals`); one that raises, such as a 404, does. With `in_form`, the view reports the limit in its own
    form by calling `is_admitted`. Goes below login_required: most limits are per user.
    """
    if action not in limits.RATES:
        raise KeyError(action)
    return Limit(action, counts_refusals, in_form).guard


@dataclass(frozen=True)
class Limit:
    """The arguments of `limited`."""

    action: str
    counts_refusals: bool
    in_form: bool

    def before(self, request: HttpRequest) -> HttpResponseBase | None:
        """Count the request; return a response in place of the view's if it is over the limit."""
        taken = take(request, self.action)
        if taken is not None:
            setattr(request, TAKEN, taken)
            return None
        wait = seconds_to_wait(request, self.action)
        if not self.in_form:
            return too_many_requests(request, wait=wait)
        setattr(request, WAIT, wait)
        return None

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the view's response; refused requests are uncounted."""
        if wait := getattr(request, WAIT, 0):
            return refused(response, wait)
        if response.status_code >= 400 and not self.counts_refusals:
            give_back(getattr(request, TAKEN))
        return response

    def guard(self, view: View) -> View:
        """Wrap the view so that its POSTs are counted."""

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method != "POST":
                return cast(HttpResponseBase, view(request, *args, **kwargs))
            if refusal := self.before(request):
                return refusal
            with free_where_busy(request):
                response = view(request, *args, **kwargs)
            return self.after(request, response)

        @wraps(view)
        async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method != "POST":
                return cast(HttpResponseBase, await view(request, *args, **kwargs))
            if refusal := await sync_to_async(self.before)(request):
                return refusal
            with free_where_busy(request):
                response = await view(request, *args, **kwargs)
            return await sync_to_async(self.after)(request, response)

        chosen = guarded_async if iscoroutinefunction(view) else guarded
        # For the test that every view accepting POST has decided on a limit (tests/core/test_limited.py).
        chosen.limited_by = self.action  # type: ignore[union-attr]
        return cast(View, chosen)


@contextmanager
def free_where_busy(request: HttpRequest) -> Iterator[None]:
    """Uncount a request that failed because the database was busy: the user will send it again."""
    try:
        yield
    except TooBusyError:
        if taken := getattr(request, TAKEN, None):
            give_back(taken)
        raise


def is_admitted(request: HttpRequest, form: BaseForm) -> bool:
    """Return whether the request is within its limit; otherwise add an error to the form."""
    wait = getattr(request, WAIT, 0)
    if wait:
        form.add_error(None, advice_to_wait(wait))
    return not wait


def refused(response: HttpResponseBase, wait: int) -> HttpResponseBase:
    """Turn a redisplayed form's 422 into 429 with Retry-After; other responses stay as they are."""
    if response.status_code == 422:
        response.status_code = 429
        response.headers["Retry-After"] = str(wait)
    return response


def give_back(taken: ratelimit.RateLimitUsage) -> None:
    """Undo `take`."""
    taken.rollback()


def take(request: HttpRequest, action: str) -> ratelimit.RateLimitUsage | None:
    """Count one request; return None if it is over the limit."""
    return cast(
        ratelimit.RateLimitUsage | None, ratelimit.consume(request, app=APP, action=action, config=limits.RATES)
    )


def seconds_to_wait(request: HttpRequest, action: str) -> int:
    """Return the seconds until another request is allowed."""
    now, wait = time.time(), 1.0
    for rate in ratelimit.parse_rates(limits.RATES[action]):
        stamps = cache.get(ratelimit.get_cache_key(request, app=APP, action=action, rate=rate), [])
        if len(stamps) >= rate.amount:  # newest first
            wait = max(wait, stamps[rate.amount - 1] + rate.duration - now)
    return math.ceil(wait)

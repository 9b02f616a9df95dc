"""How often one may do what changes something: a line above a view, its numbers in apps/core/limits.py."""

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

# Before django-allauth's own counts in the cache.
APP = "apps.core.limited"
# The request's attributes: what it took of its limit, or for how many seconds it comes too early.
TAKEN, WAIT = "taken_of_limit", "seconds_too_early"


def limited(action: str, *, counts_refusals: bool = False, in_form: bool = False) -> Callable[[View], View]:
    """
    Answer POSTs beyond limits.RATES[action] with a page that says when to come again, and keeps what was typed.

    Reading is never limited. What the view answers with a refusal costs nothing, unless to find out is what costs; what
    it raises, such as a 404, counts. With `in_form` a view with a form that people write text in says so in the form
    itself: it asks `is_admitted`. Stands below login_required: most are counted by person.
    """
    if action not in limits.RATES:
        raise KeyError(action)
    return Limit(action, counts_refusals, in_form).guard


@dataclass(frozen=True)
class Limit:
    """What `limited` says of a view."""

    action: str
    counts_refusals: bool
    in_form: bool

    def before(self, request: HttpRequest) -> HttpResponseBase | None:
        """Count the request; the answer in the view's place where it is one too many."""
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
        """The view's answer; what it refused is not counted."""
        if wait := getattr(request, WAIT, 0):
            return refused(response, wait)
        if response.status_code >= 400 and not self.counts_refusals:
            give_back(getattr(request, TAKEN))
        return response

    def guard(self, view: View) -> View:
        """The view, with its POSTs counted."""

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
        # For the test that each view that takes a POST has decided (tests/core/test_limited.py).
        chosen.limited_by = self.action  # type: ignore[union-attr]
        return cast(View, chosen)


@contextmanager
def free_where_busy(request: HttpRequest) -> Iterator[None]:
    """Nothing is counted of what could not be done since others held it: it is to be sent again."""
    try:
        yield
    except TooBusyError:
        if taken := getattr(request, TAKEN, None):
            give_back(taken)
        raise


def is_admitted(request: HttpRequest, form: BaseForm) -> bool:
    """False where the limit is reached, and the form says when to go on."""
    wait = getattr(request, WAIT, 0)
    if wait:
        form.add_error(None, advice_to_wait(wait))
    return not wait


def refused(response: HttpResponseBase, wait: int) -> HttpResponseBase:
    """The answer of a view that shows its form again: 429 where nothing else was wrong with it."""
    if response.status_code == 422:
        response.status_code = 429
        response.headers["Retry-After"] = str(wait)
    return response


def give_back(taken: ratelimit.RateLimitUsage) -> None:
    """Undo `take`."""
    taken.rollback()


def take(request: HttpRequest, action: str) -> ratelimit.RateLimitUsage | None:
    """Count one more; None where that would be too many."""
    return cast(
        ratelimit.RateLimitUsage | None, ratelimit.consume(request, app=APP, action=action, config=limits.RATES)
    )


def seconds_to_wait(request: HttpRequest, action: str) -> int:
    """How long until there is room for one more."""
    now, wait = time.time(), 1.0
    for rate in ratelimit.parse_rates(limits.RATES[action]):
        stamps = cache.get(ratelimit.get_cache_key(request, app=APP, action=action, rate=rate), [])
        if len(stamps) >= rate.amount:  # the newest first
            wait = max(wait, stamps[rate.amount - 1] + rate.duration - now)
    return math.ceil(wait)

"""
Responses, marked as ours for htmx: pages swap in no response without that mark (static/js/answers.js).

Others may respond in our place: a proxy whose upstream is down, a network's login page, our own sign-in page behind
a redirect. htmx would swap any of these into the page, over what the user has typed.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.cache import patch_vary_headers

View = TypeVar("View", bound=Callable[..., Any])

RETRY_AFTER_SECONDS = 5
# Header with the kind of response: "fragment" is swapped into the page, "done" shows nothing, "refusal" and
# "signed-out" are messages to the user.
MARK = "Parley-Answer"
# Header with the user it was made for: another tab may have signed in as someone else.
VIEWER = "Parley-Viewer"
# Response attribute set by pages that this site may show in a frame.
FRAMED_BY_OURSELVES = "framed_by_ourselves"


def is_for_htmx(request: HttpRequest) -> bool:
    """Return whether a script asked for a fragment. Works before the htmx middleware has run, too."""
    return request.headers.get("HX-Request") == "true"


def fragments_for_htmx(view: View) -> View:
    """Mark the view's responses to htmx as fragments; redirects and errors raised stay unmarked."""

    def mark(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        patch_vary_headers(response, ["HX-Request"])
        if is_for_htmx(request) and not 300 <= response.status_code < 400:
            response.headers.setdefault(MARK, "fragment")
            response.headers.setdefault(VIEWER, str(request.user.pk or ""))
        return response

    @wraps(view)
    def marked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return mark(request, view(request, *args, **kwargs))

    @wraps(view)
    async def marked_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return mark(request, await view(request, *args, **kwargs))

    return cast(View, marked_async if iscoroutinefunction(view) else marked)


def refusal(status: int, *sentences: str, kind: str = "refusal") -> HttpResponse:
    """Return a message for the user, which a script shows next to what they typed."""
    text = " ".join(one if one.endswith((".", "!", "?", "؟", "。")) else f"{one}." for one in sentences)
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers={MARK: kind})


def see_other(url: str) -> HttpResponse:
    """Redirect with 303 after a successful POST; the result is at `url`."""
    response = redirect(url)
    response.status_code = 303
    return response


def retried_soon(response: HttpResponse) -> HttpResponse:
    """Add a Retry-After header to the response."""
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response

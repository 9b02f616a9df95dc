"""
What a request is answered; htmx with our own mark: without it no page takes an answer in (static/js/answers.js).

Others answer in our place: a proxy whose server is away, the sign-in page of a network, our own sign-in page behind a
redirect. htmx would put any of that into the page, over what somebody has typed.
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
# What an answer is: "fragment", which goes into the page; "done", which shows nothing; or "refusal" and "signed-out",
# words for the person.
MARK = "Parley-Answer"
# Whom it was made for: another tab may have signed in somebody else.
VIEWER = "Parley-Viewer"
# The response's attribute by which a page lets pages of this site show it in a frame.
FRAMED_BY_OURSELVES = "framed_by_ourselves"


def is_for_htmx(request: HttpRequest) -> bool:
    """Whether a script asked, which takes a part of a page. Also for what never came to the middleware for htmx."""
    return request.headers.get("HX-Request") == "true"


def fragments_for_htmx(view: View) -> View:
    """What this view itself answers htmx is a part of the page; where it leads elsewhere, or raises, it is not."""

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
    """Words for the person, which a script shows beside what they typed."""
    text = " ".join(one if one.endswith((".", "!", "?", "؟", "。")) else f"{one}." for one in sentences)
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers={MARK: kind})


def see_other(url: str) -> HttpResponse:
    """303: what was posted is done, and the result is to be seen at `url`."""
    response = redirect(url)
    response.status_code = 303
    return response


def retried_soon(response: HttpResponse) -> HttpResponse:
    """The same response, which says when to come again."""
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response

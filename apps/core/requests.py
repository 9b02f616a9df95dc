"""A request as the site's middleware leaves it."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """For annotations: `htmx` is true where htmx asked and wants a part of the page."""

    htmx: HtmxDetails


def is_ahead(request: HttpRequest) -> bool:
    """Whether a browser asks before its reader does, who may never look at the answer."""
    purposes = [request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")]
    return any(word in purpose for purpose in purposes for word in ("prefetch", "prerender", "preview"))

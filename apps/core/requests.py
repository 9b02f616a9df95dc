"""Requests as the site's middleware leaves them."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """For annotations: `htmx` is true if htmx wants a fragment."""

    htmx: HtmxDetails


def is_ahead(request: HttpRequest) -> bool:
    """Return whether the browser is prefetching a page that its user may never open."""
    purposes = [request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")]
    return any(word in purpose for purpose in purposes for word in ("prefetch", "prerender", "preview"))

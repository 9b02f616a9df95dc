"""A request as the site's middleware leaves it."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """For annotations: `htmx` is true where htmx asked and wants a part of the page."""

    htmx: HtmxDetails

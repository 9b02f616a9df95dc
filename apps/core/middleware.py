"""Middleware of our own, native in both modes so that async pages do not hop through threads for it."""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

type_of_get_response = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)


class SecurityHeadersMiddleware:
    """Put the Content-Security-Policy and what goes with it on every response."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: type_of_get_response) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self.__acall__(request)
        return with_security_headers(cast(HttpResponseBase, self.get_response(request)))

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        return with_security_headers(await cast(Awaitable[HttpResponseBase], self.get_response(request)))


def with_security_headers(response: HttpResponseBase) -> HttpResponseBase:
    """The same response with its security headers set, unless the view set its own."""
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    # Pages belong to their viewer and are asked for anew; static files bring a header of their own.
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
    return response


class SignedInUserMiddleware:
    """
    Load `request.user` before an async view runs.

    Django's own is loaded at first use, which in an async view's template would be a database query on the
    event loop.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: type_of_get_response) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self.__acall__(request)
        # Also where the server is synchronous, as Django's test client is: async views run there too.
        bool(request.user.is_authenticated)
        return self.get_response(request)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        request.user = await request.auser()
        return await cast(Awaitable[HttpResponseBase], self.get_response(request))

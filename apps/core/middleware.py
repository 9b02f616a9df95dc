"""Middleware of our own, native in both modes so that async pages do not hop through threads for it."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import resolve_url
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import url_has_allowed_host_and_scheme

from apps.core.answers import FRAMED_BY_OURSELVES
from apps.core.errors import Missing
from apps.core.kept import would_lose
from apps.core.views import livez, readyz, signed_out

# The next middleware or the view, synchronous or not.
GetResponse = Any

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action {targets}; frame-ancestors {ancestors}; object-src 'none'"
)
# The request's attribute in which a page notes the other sites that its forms lead to.
FORM_TARGETS = "form_targets"


@sync_and_async_middleware
def security_headers(get_response: GetResponse) -> GetResponse:
    """Put the Content-Security-Policy and what goes with it on every response."""
    if not iscoroutinefunction(get_response):
        return lambda request: with_security_headers(request, get_response(request))

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        return with_security_headers(request, await get_response(request))

    return middleware


def with_security_headers(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The same response with its security headers set, unless the view set its own."""
    # Chromium applies form-action to where a form's answer redirects to as well.
    targets = " ".join(["'self'", *sorted(getattr(request, FORM_TARGETS, ()))])
    ancestors = "'self'" if getattr(response, FRAMED_BY_OURSELVES, False) else "'none'"
    policy = CONTENT_SECURITY_POLICY.format(targets=targets, ancestors=ancestors)
    response.headers.setdefault("Content-Security-Policy", policy)
    # Pages belong to their viewer and are asked for anew; static files bring a header of their own. What has secrets is
    # not kept to be shown by Back either, where scripts do not run that could ask who is signed in (session.js).
    keeps = "no-store" if request.path_info.startswith(SECRETIVE) else "no-cache"
    response.headers.setdefault("Cache-Control", f"private, {keeps}")
    response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
    return response


# Accounts, with their recovery codes and keys, and links that let their bearer in.
SECRETIVE = ("/accounts/", "/invitations/", "/site/")

# What becomes smaller: pictures and archives do not.
COMPRESSIBLE = ("text/", "application/json", "application/javascript")


class CompressionMiddleware(GZipMiddleware):
    """
    Compress pages and fragments.

    Django adds a random length, so that who counts the bytes and can choose a part of the page does not learn the rest
    (BREACH). Pages with secrets are not compressed all the same. Neither is what comes piece by piece: a browser would
    hold a piece back, and the live view writes past Django (apps/live/streams.py).
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_text = response.headers.get("Content-Type", "").startswith(COMPRESSIBLE)
        if response.streaming or not is_text or request.path_info.startswith(SECRETIVE):
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed


HEALTH = {"/livez": livez, "/readyz": readyz}


@sync_and_async_middleware
def health(get_response: GetResponse) -> GetResponse:
    """
    Answer who asks whether this process is well, before anybody looks at the Host or the session.

    A health check asks by address, and the answer must not hang on a database that is away.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        view = HEALTH.get(request.path_info)
        response: HttpResponseBase = async_to_sync(view)(request) if view else get_response(request)
        return response

    async def async_middleware(request: HttpRequest) -> HttpResponseBase:
        view = HEALTH.get(request.path_info)
        response: HttpResponseBase = await (view(request) if view else get_response(request))
        return response

    return async_middleware if iscoroutinefunction(get_response) else middleware


@sync_and_async_middleware
def load_user(get_response: GetResponse) -> GetResponse:
    """
    Load `request.user` before a view runs.

    Django's own is loaded at first use, which in an async view's template would be a database query on the
    event loop.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        # Also where the server is synchronous, as Django's test client is: async views run there too.
        bool(request.user.is_authenticated)
        response: HttpResponseBase = get_response(request)
        return response

    async def async_middleware(request: HttpRequest) -> HttpResponseBase:
        request.user = await request.auser()
        response: HttpResponseBase = await get_response(request)
        return response

    return async_middleware if iscoroutinefunction(get_response) else middleware


@sync_and_async_middleware
def speak_the_viewers_language(get_response: GetResponse) -> GetResponse:
    """
    Answer in the language that the viewer has chosen, else in the first of the browser's that the site speaks.

    Django's own knows no language of an account, and hops through a thread for each async page.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with translation.override(language := language_of(request)):
            return in_language(language, get_response(request))

    async def async_middleware(request: HttpRequest) -> HttpResponseBase:
        with translation.override(language := language_of(request)):
            return in_language(language, await get_response(request))

    return async_middleware if iscoroutinefunction(get_response) else middleware


def language_of(request: HttpRequest) -> str:
    """The code of the language that the viewer is spoken to in."""
    chosen = getattr(request.user, "language", "")
    return chosen if chosen in dict(settings.LANGUAGES) else translation.get_language_from_request(request)


def in_language(language: str, response: HttpResponseBase) -> HttpResponseBase:
    """The same response, which says what language it is in, and that others may get another."""
    response.headers.setdefault("Content-Language", language)
    patch_vary_headers(response, ["Accept-Language"])
    return response


@sync_and_async_middleware
def say_who_is_signed_out(get_response: GetResponse) -> GetResponse:
    """
    Where a form leads to the sign-in page, a page in between gives back what was typed into it.

    To htmx the redirect would look like an answer: it gets words instead.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return to_somebody_signed_out(request, get_response(request))

    async def async_middleware(request: HttpRequest) -> HttpResponseBase:
        # Rendering it asks no database: nobody is signed in.
        return to_somebody_signed_out(request, await get_response(request))

    return async_middleware if iscoroutinefunction(get_response) else middleware


class MissingIsNotFound(MiddlewareMixin):
    """Where the domain says that something is missing, the page is Django's 404; it is said here only."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, Missing):
            raise Http404 from exception


def to_somebody_signed_out(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The response, unless it sends somebody to sign in first, who has asked for a part of a page or sent a form."""
    if response.status_code != 302 or request.user.is_authenticated:
        return response
    address = urlsplit(response.headers["Location"])
    place = parse_qs(address.query).get("next", [])
    if address.path != resolve_url(settings.LOGIN_URL) or not place:
        return response
    if would_lose(request):
        return signed_out(request)
    if request.method in ("GET", "HEAD") or place[0] != request.get_full_path():
        return response
    # Where a form is sent to there may be no page: back to the one that it stood on.
    return redirect_to_login(page_before(request))


def page_before(request: HttpRequest) -> str:
    """The page of this site that a request came from, as far as the browser says; else the first one."""
    referer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(referer, {request.get_host()}, require_https=request.is_secure()):
        return "/"
    page = urlsplit(referer)
    return f"{page.path}?{page.query}" if page.query else page.path or "/"

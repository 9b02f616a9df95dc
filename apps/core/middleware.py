"""Our own middleware, both sync and async, so that async pages need no thread for it."""

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

# The next middleware or view, sync or async.
GetResponse = Any

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action {targets}; frame-ancestors {ancestors}; object-src 'none'"
)
# Request attribute with the other sites that the page's forms redirect to.
FORM_TARGETS = "form_targets"


@sync_and_async_middleware
def security_headers(get_response: GetResponse) -> GetResponse:
    """Add the Content-Security-Policy and related headers to every response."""
    if not iscoroutinefunction(get_response):
        return lambda request: with_security_headers(request, get_response(request))

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        return with_security_headers(request, await get_response(request))

    return middleware


def with_security_headers(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Set the security headers that the view has not set itself."""
    # Chromium applies form-action to redirects after a form submission as well.
    targets = " ".join(["'self'", *sorted(getattr(request, FORM_TARGETS, ()))])
    ancestors = "'self'" if getattr(response, FRAMED_BY_OURSELVES, False) else "'none'"
    policy = CONTENT_SECURITY_POLICY.format(targets=targets, ancestors=ancestors)
    response.headers.setdefault("Content-Security-Policy", policy)
    # Pages are private and revalidated; static files set a header of their own. Pages with secrets aren't stored at
    # all: Back could show them when scripts, which check who is signed in (session.js), don't run.
    keeps = "no-store" if request.path_info.startswith(SECRETIVE) else "no-cache"
    response.headers.setdefault("Cache-Control", f"private, {keeps}")
    response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
    return response


# Account pages, with recovery codes and keys; and links that grant access to whoever has them.
SECRETIVE = ("/accounts/", "/invitations/", "/site/")

# Pictures and archives don't get smaller.
COMPRESSIBLE = ("text/", "application/json", "application/javascript")


class CompressionMiddleware(GZipMiddleware):
    """
    Compresses pages and fragments.

    Django adds random padding, so an attacker who controls a part of a page can't infer the rest from its length
    (BREACH). Pages with secrets are left uncompressed even so. So are streams: browsers would buffer the pieces, and
    the live view writes past Django (apps/live/streams.py).
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
    Answer health checks before the Host header or the session is looked at.

    They are sent to an IP address, and must not hang while the database is down.
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
    Load `request.user` before the view runs.

    Django loads it lazily, which in an async view's template would run a database query on the event loop.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        # Also on a sync server, such as Django's test client: async views run there too.
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
    Respond in the language that the viewer chose, or else in the browser's first one that the site has.

    Django's own middleware ignores the account's language, and needs a thread for each async page.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with translation.override(language := language_of(request)):
            return in_language(language, get_response(request))

    async def async_middleware(request: HttpRequest) -> HttpResponseBase:
        with translation.override(language := language_of(request)):
            return in_language(language, await get_response(request))

    return async_middleware if iscoroutinefunction(get_response) else middleware


def language_of(request: HttpRequest) -> str:
    """Return the language code for the viewer."""
    chosen = getattr(request.user, "language", "")
    return chosen if chosen in dict(settings.LANGUAGES) else translation.get_language_from_request(request)


def in_language(language: str, response: HttpResponseBase) -> HttpResponseBase:
    """Add Content-Language and Vary to the response."""
    response.headers.setdefault("Content-Language", language)
    patch_vary_headers(response, ["Accept-Language"])
    return response


@sync_and_async_middleware
def say_who_is_signed_out(get_response: GetResponse) -> GetResponse:
    """
    Replace the redirect to the sign-in page with one that gives back what the user typed into a form.

    htmx would follow the redirect and take it for the response, so it gets a plain message instead.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return to_someone_signed_out(request, get_response(request))

    async def async_middleware(request: HttpRequest) -> HttpResponseBase:
        # Rendering it needs no database: the user is anonymous.
        return to_someone_signed_out(request, await get_response(request))

    return async_middleware if iscoroutinefunction(get_response) else middleware


class MissingIsNotFound(MiddlewareMixin):
    """Turns the domain's Missing into Django's 404, in this one place."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, Missing):
            raise Http404 from exception


def to_someone_signed_out(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Replace a redirect to the sign-in page if the anonymous user sent a form or asked for a fragment."""
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
    # The form's action may have no page of its own: redirect to the page it was on.
    return redirect_to_login(page_before(request))


def page_before(request: HttpRequest) -> str:
    """Return the path of the page that the request came from, as far as the browser tells; else "/"."""
    referer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(referer, {request.get_host()}, require_https=request.is_secure()):
        return "/"
    page = urlsplit(referer)
    return f"{page.path}?{page.query}" if page.query else page.path or "/"

"""Health checks and error pages."""

import logging
import sys
from functools import cache

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils import translation
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe
from django.views.i18n import JavaScriptCatalog
from markdown_it import MarkdownIt

from apps.core import cache as shared_cache
from apps.core import cluster, shutdown
from apps.core.answers import FRAMED_BY_OURSELVES, fragments_for_htmx, is_for_htmx, refusal, retried_soon
from apps.core.database import NO_DATABASE, forget_connections, is_busy, is_taken
from apps.core.errors import Missing
from apps.core.kept import is_too_long, kept_of
from apps.core.locks import is_gone
from apps.core.requests import HtmxRequest
from apps.core.trouble import all_troubles

NOT_ANSWERING = "the database does not answer"
logger = logging.getLogger(__name__)


@require_safe
@never_cache
async def livez(request: HttpRequest) -> HttpResponse:
    """Return 200 while the process responds at all."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
async def readyz(request: HttpRequest) -> HttpResponse:
    """
    Return 200 if the database is up with every migration, and the process agrees with the others and is not ending.

    Otherwise 503 with the reason. Problems that don't make it unready follow on further lines.
    """
    problem = "this process is ending" if shutdown.State.is_shutting_down else await sync_to_async(reason_not_ready)()
    problem = problem or cluster.State.reason
    lines = [problem or "ok", *await sync_to_async(what_is_amiss)()]
    response = HttpResponse("\n".join([*lines, ""]), content_type="text/plain", status=503 if problem else 200)
    # Expected here; Django would log an error for every check.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def what_is_amiss() -> list[str]:
    """Return problems that don't keep the site from serving."""
    shared_cache.look()
    return all_troubles()


def reason_not_ready() -> str:
    """Return why this process should get no requests, or an empty string."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, *NO_DATABASE):
        return NOT_ANSWERING
    return f"{len(pending)} migrations are not applied" if pending else ""


@require_safe
async def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect browsers that ignore the page's <link>."""
    return redirect(static("icon.svg"))


@require_safe
@cache_control(public=True, max_age=600)
def words(request: HttpRequest, language: str) -> HttpResponseBase:
    """Return the scripts' texts in one language (gettext, ngettext and interpolate), from Django's catalogue."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        return JavaScriptCatalog.as_view(packages=["apps.core"])(request)


@require_safe
def accessibility(request: HttpRequest) -> HttpResponse:
    """Show docs/accessibility.md, which is in English."""
    return render(request, "core/accessibility.html", {"statement": statement()})


@cache
def statement() -> SafeString:
    """Return it as HTML. The source is ours, and trusted."""
    source = (settings.BASE_DIR / "docs" / "accessibility.md").read_text()
    return SafeString(MarkdownIt("commonmark").enable("table").render(source))


@require_safe
@fragments_for_htmx
def keys(request: HtmxRequest) -> HttpResponse:
    """Show the keyboard shortcuts of a room: as a page, or for a room's dialog."""
    return render(request, "core/keys_list.html" if request.htmx else "core/keys.html")


def problem(request: HttpRequest, status: int, heading: str, advice: str, **context: object) -> HttpResponse:
    """Render the common error page, which gives back what was typed."""
    if is_for_htmx(request):
        return refusal(status, heading, advice)
    return refusal_page(request, "core/problem.html", status, heading=heading, advice=advice, **context)


def refusal_page(request: HttpRequest, template: str, status: int, **context: object) -> HttpResponse:
    """Render a page that says why something was not done, with what was typed; framed if the form was in a frame."""
    kept = kept_of(request)
    kept_here = {"kept": kept, "is_too_long": kept is None and is_too_long(request)}
    response = render(request, template, kept_here | context, status=status)
    if kept and kept.is_in_frame:
        setattr(response, FRAMED_BY_OURSELVES, True)
    return response


# Django responds to these with 400, as to a malformed request, and logs a traceback.
TOO_LARGE = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, TOO_LARGE):
        return content_too_large(request, exception)
    return problem(request, 400, _("That request could not be read"), _("Go back, reload the page and try again."))


def content_too_large(request: HttpRequest, exception: Exception) -> HttpResponse:
    advice = _("Nothing of it is stored. Go back and send less: a shorter text, or a smaller file.")
    response = problem(request, 413, _("That was more than this site takes at once"), advice)
    logger.warning("%s %r was refused: %s", request.method, request.path, exception)
    # Otherwise Django logs it again, with a traceback.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    advice = _("If you think you should, ask one of the room’s owners.")
    return problem(request, 403, _("You may not do that"), advice)


def page_not_found(request: HttpRequest, exception: Exception | None = None, **context: object) -> HttpResponse:
    advice = _("The address may be mistyped, the thing deleted, or it is private and you are not among its members.")
    if exception and isinstance(exception.__cause__, Missing) and str(exception.__cause__):
        advice = str(exception.__cause__)
    return problem(request, 404, _("There is nothing here"), advice, **context)


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    if is_busy(error):
        return busy(request)
    if isinstance(error, NO_DATABASE):
        forget_connections(error)
        return no_database(request)
    if is_taken(error):
        # Forms that know what was taken report it themselves (core/forms.py); this is for all others.
        advice = _(
            "Perhaps the form was sent twice. Go back, reload the page and look: you may have to send what you typed "
            "again."
        )
        return problem(request, 409, _("This was done already, a moment before"), advice, user=None)
    if is_gone(error):
        return page_not_found(request, user=None)
    # Without the user: the database may be what failed.
    advice = _("It has been noted. Please try again in a while.")
    return problem(request, 500, _("Something went wrong on our side"), advice, user=None)


def no_database(request: HttpRequest) -> HttpResponse:
    """Return 503 with a form that holds what was typed, ready to be sent again."""
    if is_for_htmx(request):
        advice = _("It should be back soon. Please send this again in a moment.")
        return refusal(503, _("Our database does not answer"), advice)
    return retried_soon(refusal_page(request, "core/no_database.html", 503, user=None))


def busy(request: HttpRequest) -> HttpResponse:
    """Return 503 if others hold a lock, with what was sent, ready to be sent again."""
    if is_for_htmx(request):
        why = _("Others are changing the same thing, and it took too long to wait for them. Nothing was changed.")
        response = refusal(503, _("This is busy at the moment"), why, _("Please try again in a moment."))
    else:
        response = refusal_page(request, "core/busy.html", 503, user=None)
    return retried_soon(response)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    kept = kept_of(request)
    advice = _("Go back, reload the page and send it again. Your browser must accept cookies from this site.")
    if kept:
        advice = _(
            "Nothing of it is stored. Perhaps you signed in or out in another tab meanwhile. Look at it, and send it "
            "again. Your browser must accept cookies from this site."
        )
    return problem(request, 403, _("This form is no longer valid"), advice, again=kept is not None)


def signed_out(request: HttpRequest) -> HttpResponse:
    """Return 403 if the session ended before a form was sent. The same for rooms that don't exist."""
    if is_for_htmx(request):
        advice = _("Sign in in another tab, then try again here.")
        return refusal(403, _("You are signed out"), advice, kind="signed-out")
    return refusal_page(request, "core/signed_out.html", 403)


def too_many_requests(request: HttpRequest, *, wait: int = 0) -> HttpResponse:
    """Return 429; `wait` is the number of seconds until the next try, if known."""
    advice = advice_to_wait(wait) if wait else ""
    if is_for_htmx(request):
        response = refusal(429, _("Please wait a little"), *filter(None, [advice]))
    else:
        response = refusal_page(request, "429.html", 429, advice=advice)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def advice_to_wait(seconds: int) -> str:
    """Return the advice for a user who has reached a rate limit."""
    minutes = -(-seconds // 60)
    text = ngettext(
        "You have done this very often in a short time. You can go on in %(minutes)d minute.",
        "You have done this very often in a short time. You can go on in %(minutes)d minutes.",
        minutes,
    )
    return text % {"minutes": minutes}

"""Health, and the pages for what went wrong."""

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
from django.views.decorators.vary import vary_on_headers
from django.views.i18n import JavaScriptCatalog
from markdown_it import MarkdownIt

from apps.core import cache as shared_cache
from apps.core import cluster, leaving
from apps.core.database import NO_DATABASE, forget_connections, is_busy, is_taken
from apps.core.locks import Gone, is_gone
from apps.core.requests import HtmxRequest
from apps.core.trouble import all_troubles

NOT_ANSWERING = "the database does not answer"
RETRY_AFTER = 5  # seconds
logger = logging.getLogger(__name__)


@require_safe
@never_cache
async def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
async def readyz(request: HttpRequest) -> HttpResponse:
    """
    200 when the database answers and has every migration, and the process is to stay and agrees with the others.

    Else 503 with the reason. What the site gets on without stands in further lines.
    """
    problem = "this process is ending" if leaving.State.is_leaving else await sync_to_async(reason_not_ready)()
    problem = problem or cluster.State.reason
    lines = [problem or "ok", *await sync_to_async(what_is_amiss)()]
    return HttpResponse("\n".join([*lines, ""]), content_type="text/plain", status=503 if problem else 200)


def what_is_amiss() -> list[str]:
    """What does not work, and bars nobody from the site."""
    shared_cache.look()
    return all_troubles()


def reason_not_ready() -> str:
    """Why this process should get no requests, or an empty string."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, *NO_DATABASE):
        return NOT_ANSWERING
    return f"{len(pending)} migrations are not applied" if pending else ""


@require_safe
async def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers that ignore the page's <link> ask here."""
    return redirect(static("icon.svg"))


@require_safe
@cache_control(public=True, max_age=600)
def words(request: HttpRequest, language: str) -> HttpResponseBase:
    """What the scripts say, in one language: gettext, ngettext and interpolate, made by Django from its catalogue."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        return JavaScriptCatalog.as_view(packages=["apps.core"])(request)


@require_safe
def accessibility(request: HttpRequest) -> HttpResponse:
    """The statement of docs/accessibility.md, which is written in English."""
    return render(request, "core/accessibility.html", {"statement": statement()})


@cache
def statement() -> SafeString:
    """It as HTML. It is ours, and trusted."""
    source = (settings.BASE_DIR / "docs" / "accessibility.md").read_text()
    return SafeString(MarkdownIt("commonmark").enable("table").render(source))


@require_safe
@vary_on_headers("HX-Request")
def keys(request: HtmxRequest) -> HttpResponse:
    """What the keys of the keyboard do in a room: as a page, and for a room's dialog."""
    return render(request, "core/keys_list.html" if request.htmx else "core/keys.html")


def problem(request: HttpRequest, status: int, heading: str, advice: str, **context: object) -> HttpResponse:
    """One page for all that went wrong."""
    return render(request, "core/problem.html", {"heading": heading, "advice": advice} | context, status=status)


# Django's answer to each is 400, as to what cannot be read, and a traceback in the log.
TOO_LARGE = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, TOO_LARGE):
        return content_too_large(request, exception)
    return problem(request, 400, _("That request could not be read"), _("Go back, reload the page and try again."))


def content_too_large(request: HttpRequest, exception: Exception) -> HttpResponse:
    advice = _("Nothing of it is stored. Go back and send less: a shorter text, or a smaller file.")
    response = problem(request, 413, _("That was more than this site takes at once"), advice)
    logger.warning("%s %r was refused: %s", request.method, request.path, exception)
    # Else Django does, with a traceback.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    advice = _("If you think you should, ask one of the room’s owners.")
    return problem(request, 403, _("You may not do that"), advice, written=written_in(request))


def page_not_found(request: HttpRequest, exception: Exception | None = None, **context: object) -> HttpResponse:
    advice = _("The address may be mistyped, the thing deleted, or it is private and you are not among its members.")
    if isinstance(exception, Gone):
        advice = str(exception)
    return problem(request, 404, _("There is nothing here"), advice, written=written_in(request), **context)


def written_in(request: HttpRequest) -> str:
    """The text that somebody sent to a room or message that is not there for them any more, to be given back."""
    # Where no view was found, nothing has read the body yet, and it may be anything.
    return request.POST.get("body", "").replace("\x00", "") if request.resolver_match else ""


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    if is_busy(error):
        return busy(request)
    if isinstance(error, NO_DATABASE):
        forget_connections(error)
        return no_database(request)
    if is_taken(error):
        # Forms that know what was taken say so themselves (core/forms.py); this is for all others.
        advice = _(
            "Perhaps the form was sent twice. Go back, reload the page and look: you may have to send what you typed "
            "again."
        )
        return problem(request, 409, _("This was done already, a moment before"), advice, user=None)
    if is_gone(error):
        return page_not_found(request, user=None)
    # Without the user: what went wrong may be the database.
    advice = _("It has been noted. Please try again in a while.")
    return problem(request, 500, _("Something went wrong on our side"), advice, user=None)


def no_database(request: HttpRequest) -> HttpResponse:
    """503, with a form that holds what was written, to be sent again as it was."""
    body = request.POST.get("body", "").replace("\x00", "")
    context = {"user": None, "body": body, "client_id": request.POST.get("client_id", "")}
    response = render(request, "core/no_database.html", context, status=503)
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def busy(request: HttpRequest) -> HttpResponse:
    """503 where others hold what was asked for, with a form that holds what was sent, to be sent again as it was."""
    kept = None if request.method != "POST" or request.FILES else sent_fields(request)
    response = render(request, "core/busy.html", {"user": None, "kept": kept}, status=503)
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def sent_fields(request: HttpRequest) -> list[tuple[str, str]] | None:
    """What a form sent, to be sent again; None where a password is among it, which no page repeats."""
    if any("password" in name for name in request.POST):
        return None
    return [
        (name, value.replace("\x00", "").encode(errors="ignore").decode())
        for name, values in request.POST.lists()
        for value in values
        if isinstance(value, str) and name != "csrfmiddlewaretoken"
    ]


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return problem(
        request,
        403,
        _("This form is no longer valid"),
        _("Go back, reload the page and send it again. Your browser must accept cookies from this site."),
    )


def too_many_requests(request: HttpRequest, *, wait: int = 0) -> HttpResponse:
    """429; where `wait` is known, in seconds, with a form that holds what was sent, to be sent again then."""
    context = {
        "kept": kept_fields(request) if wait and not request.FILES else None,
        "advice": advice_to_wait(wait) if wait else "",
    }
    response = render(request, "429.html", context, status=429)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def kept_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """What was sent, for a form that sends it again; no password."""
    return [
        (name, value.replace("\x00", "").encode(errors="ignore").decode())
        for name, values in request.POST.lists()
        for value in values
        if isinstance(value, str) and name != "csrfmiddlewaretoken" and "password" not in name
    ]


def advice_to_wait(seconds: int) -> str:
    """What somebody is told who did something too often."""
    minutes = -(-seconds // 60)
    text = ngettext(
        "You have done this very often in a short time. You can go on in %(minutes)d minute.",
        "You have done this very often in a short time. You can go on in %(minutes)d minutes.",
        minutes,
    )
    return text % {"minutes": minutes}

"""Health, and the pages for what went wrong."""

import sys

from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.core import leaving
from apps.core.database import NO_DATABASE, forget_connections


@require_safe
@never_cache
async def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
async def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and has every migration and the process is to stay, else 503 with the reason."""
    problem = "this process is ending" if leaving.State.is_leaving else await sync_to_async(reason_not_ready)()
    return HttpResponse(f"{problem or 'ok'}\n", content_type="text/plain", status=503 if problem else 200)


def reason_not_ready() -> str:
    """Why this process should get no requests, or an empty string."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, *NO_DATABASE):
        return "the database does not answer"
    return f"{len(pending)} migrations are not applied" if pending else ""


@require_safe
async def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers that ignore the page's <link> ask here."""
    return redirect(static("icon.svg"))


def problem(request: HttpRequest, status: int, heading: str, advice: str, **context: object) -> HttpResponse:
    """One page for all that went wrong."""
    return render(request, "core/problem.html", {"heading": heading, "advice": advice} | context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(request, 400, "That request could not be read", "Go back, reload the page and try again.")


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem(request, 403, "You may not do that", "If you think you should, ask one of the room’s owners.")


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem(
        request,
        404,
        "There is nothing here",
        "The address may be mistyped, the thing deleted, or it is private and you are not among its members.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    if isinstance(sys.exc_info()[1], NO_DATABASE):
        forget_connections()
        return no_database(request)
    # Without the user: what went wrong may be the database.
    advice = "It has been noted. Please try again in a while."
    return problem(request, 500, "Something went wrong on our side", advice, user=None)


def no_database(request: HttpRequest) -> HttpResponse:
    """503, with a form that holds what was written, to be sent again as it was."""
    body = request.POST.get("body", "").replace("\x00", "")
    context = {"user": None, "body": body, "client_id": request.POST.get("client_id", "")}
    response = render(request, "core/no_database.html", context, status=503)
    response.headers["Retry-After"] = "5"
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return problem(
        request,
        403,
        "This form is no longer valid",
        "Go back, reload the page and send it again. Your browser must accept cookies from this site.",
    )

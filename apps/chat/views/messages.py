"""A message's own page: view, edit, delete."""

from dataclasses import replace

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from apps.chat import services
from apps.chat.access import MessageVisit, message_for
from apps.chat.forms import EditForm
from apps.chat.models import Message
from apps.chat.posting import busy, busy_without_text, html_by, text_of, too_fast
from apps.chat.views.conversation import give_pages_connection_back, soon
from apps.core.answers import fragments_for_htmx, refusal, see_other
from apps.core.errors import Refusal
from apps.core.locks import Gone
from apps.core.requests import HtmxRequest
from apps.core.turns import TooBusyError, refuse_where_held, turn_at
from apps.live.limits import allowance_of
from apps.rooms.models import place_of


@require_safe
@fragments_for_htmx
async def message(request: HtmxRequest, slug: str, pk: int) -> HttpResponse:
    """Show a message's own page: its permalink, and every action the viewer may take."""
    visit = await sync_to_async(message_for)(request.user, slug, pk)
    return render_message(request, visit, EditForm.of(visit.message))


def render_message(
    request: HtmxRequest, visit: MessageVisit, form: EditForm, status: int = 200, *, is_newer: bool = False
) -> HttpResponse:
    """Render the page, or for htmx its contents for a dialog; with `is_newer`, also the source of the newer version."""
    template = "chat/message_actions.html" if request.htmx else "chat/message_page.html"
    context = {"visit": visit, "message": visit.message, "room": visit.visit.room, "form": form}
    context["is_newer"] = is_newer
    return render(request, template, context, status=status)


@require_POST
@login_required
@fragments_for_htmx
async def edit(request: HtmxRequest, slug: str, pk: int) -> HttpResponseBase:
    """Change the text of the viewer's own message."""
    visit = await sync_to_async(message_for)(request.user, slug, pk)
    if visit.is_author and visit.message.is_deleted:
        raise Gone(Message)
    if not visit.may_edit:
        raise PermissionDenied
    form = EditForm(request.POST)
    if not await allowance_of(visit.visit.member.pk).admits(text_of(form)):
        form.add_error("body", too_fast())
        return render_message(request, visit, form, status=429)
    status, place = 422, place_of(visit.visit.room.pk)
    if form.is_valid():
        try:
            body = form.cleaned_data["body"]
            refuse_where_held(place)
            html = visit.message.html if body == visit.message.body else await html_by(visit.visit.member.pk, body)
            async with turn_at(place, give_pages_connection_back):
                version = form.cleaned_data["version"]
                await sync_to_async(services.edit_message)(message=visit.message, body=body, html=html, version=version)
        except services.NewerVersionError as error:
            return render_newer_version(request, visit, error, body)
        except Refusal as error:
            form.add_error("body", str(error))
        except TooBusyError:
            status = 503
            form.add_error("body", busy())
    return soon(render_message(request, visit, form, status)) if form.errors else done(request, visit)


def render_newer_version(
    request: HtmxRequest, visit: MessageVisit, error: services.NewerVersionError, body: str
) -> HttpResponse:
    """Show the newer text next to the rejected edit; saving again replaces it."""
    form = EditForm({"body": body, "version": error.message.version})
    form.is_valid()  # add_error() requires a validated form
    form.add_error("body", str(error))
    return render_message(request, replace(visit, message=error.message), form, status=409, is_newer=True)


@require_POST
@login_required
@fragments_for_htmx
async def delete(request: HtmxRequest, slug: str, pk: int) -> HttpResponseBase:
    """Delete the viewer's own message or, as a moderator, anyone's."""
    visit = await sync_to_async(message_for)(request.user, slug, pk)
    if visit.message.is_deleted:
        return done(request, visit)
    if not visit.may_delete:
        raise PermissionDenied
    if not await allowance_of(visit.visit.member.pk).admits():
        return render_refusal(request, visit, too_fast(), status=429)
    try:
        async with turn_at(place_of(visit.visit.room.pk), give_pages_connection_back):
            await sync_to_async(services.delete_message)(message=visit.message, deleter=visit.visit.member)
    except Refusal as error:
        return render_refusal(request, visit, str(error), status=422)
    except TooBusyError:
        return soon(render_refusal(request, visit, busy_without_text(), status=503))
    return done(request, visit)


def render_refusal(request: HtmxRequest, visit: MessageVisit, reason: str, status: int) -> HttpResponse:
    """Show why the message was not deleted. htmx gets only the text, since its dialog may hold an unfinished edit."""
    if request.htmx:
        return refusal(status, reason)
    form = EditForm({"body": visit.message.body})
    form.is_valid()  # add_error() requires a validated form
    form.add_error(None, reason)
    return render_message(request, visit, form, status)


def done(request: HtmxRequest, visit: MessageVisit) -> HttpResponseBase:
    """Redirect to the message in its room; htmx's page gets the change by its socket and only closes its dialog."""
    if request.htmx:
        return trigger_client_event(HttpResponse(status=204), "message-done")
    return see_other(visit.place)

"""Downloading your data, and deleting your account."""

from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts import closing, exports
from apps.accounts.closing_forms import DeleteAccountForm
from apps.accounts.guards import recently_authenticated
from apps.accounts.models import User
from apps.accounts.viewer import signed_in
from apps.core.errors import Refusal
from apps.core.limited import limited


@login_required
@require_safe
def data(request: HttpRequest) -> HttpResponse:
    """Link to the download and to deleting the account."""
    return render(request, "accounts/data.html")


@login_required
@require_POST
@recently_authenticated
@limited("downloads")
def download(request: HttpRequest) -> HttpResponseBase:
    """Stream all of the user's data as a ZIP archive, so that it starts at once, however large it is."""
    user = signed_in(request)
    name = f"parley-{user.username}-{timezone.localdate().isoformat()}.zip"
    response = StreamingHttpResponse(in_pieces(user), content_type="application/zip")
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or ""
    return response


async def in_pieces(user: User) -> AsyncIterator[bytes]:
    """Yield the archive's bytes, each piece made on the request's thread once the previous one is sent."""
    pieces = exports.archive(user)
    while piece := await sync_to_async(lambda: next(pieces, b""))():
        yield piece


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@recently_authenticated
@limited("closing")
def delete_account(request: HttpRequest) -> HttpResponse:
    """Delete the user's account permanently, with or without their messages."""
    user = signed_in(request)
    form = DeleteAccountForm(request.POST or None, user=user, needs_heir=closing.needs_heir(user))
    if request.method == "POST" and form.is_valid():
        try:
            closing.close_account(
                user=user,
                delete_messages=form.cleaned_data["messages"] == DeleteAccountForm.Messages.DELETE,
                heir=form.cleaned_data.get("heir"),
            )
        except Refusal as error:
            # The site's owners have changed since the form was rendered, and so has what it must ask.
            form = DeleteAccountForm(request.POST, user=user, needs_heir=closing.needs_heir(user))
            form.add_error(None, str(error))
        else:
            logout(request)
            messages.success(request, _("Your account is deleted. Thank you for having been here."))
            return redirect("home")
    return render(request, "accounts/delete.html", {"form": form}, status=422 if form.errors else 200)

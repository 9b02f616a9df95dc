"""What the site's owner decides: roles, rules and closing accounts."""

from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts import closing, services
from apps.accounts.closing_forms import CloseAccountForm
from apps.accounts.forms import SiteRoleForm
from apps.accounts.guards import View, recently_authenticated
from apps.accounts.models import SiteRules, User
from apps.accounts.viewer import signed_in
from apps.core.errors import Refusal
from apps.core.limited import limited

PEOPLE_ON_A_PAGE = 50


def owners_only(view: View) -> View:
    """Respond with 403 to all others, before asking them for anything."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not signed_in(request).is_site_owner:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return cast(View, guarded)


@login_required
@require_safe
@owners_only
def site(request: HttpRequest) -> HttpResponse:
    """List users, those with a role first, filtered by name with `q`; and the site's rules."""
    query = request.GET.get("q", "").replace("\x00", "").strip()[:80]
    people = services.people_by_role(query)
    context = {
        "page": Paginator(people, PEOPLE_ON_A_PAGE).get_page(request.GET.get("page")),
        "query": query,
        "roles": User.Role.choices,
        "rules": SiteRules.objects.first(),
    }
    return render(request, "accounts/site.html", context)


@login_required
@require_POST
@owners_only
@recently_authenticated
@limited("site")
def set_role(request: HttpRequest, username: str) -> HttpResponse:
    """Give a user a role on the site."""
    user = get_object_or_404(User, username=username.replace("\x00", ""))
    form = SiteRoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose one of the roles in the list."))
        return redirect("site")
    try:
        services.change_role(user=user, role=form.cleaned_data["role"])
    except Refusal as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request,
            _("The new role of %(name)s on this site: %(role)s.")
            % {"name": user.username, "role": user.get_role_display()},
        )
    return redirect("site")


@login_required
@require_POST
@owners_only
@recently_authenticated
@limited("site")
def set_rules(request: HttpRequest) -> HttpResponse:
    """Set whether owners and moderators must have a second factor (`staff_need_second_factor`)."""
    needed = "staff_need_second_factor" in request.POST
    SiteRules.objects.update_or_create(pk=1, defaults={"staff_need_second_factor": needed})
    messages.success(request, _("The rules are saved."))
    return redirect("site")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@owners_only
@recently_authenticated
@limited("site")
def close_account(request: HttpRequest, username: str) -> HttpResponse:
    """Close a user's account, with or without their messages."""
    user = get_object_or_404(User, username=username.replace("\x00", ""))
    form = CloseAccountForm(request.POST or None, user=user)
    try:
        closing.refuse_owners(user)
        if request.method == "POST" and form.is_valid():
            delete_messages = form.cleaned_data["messages"] == CloseAccountForm.Messages.DELETE
            closing.close_account_of(user=user, owner=signed_in(request), delete_messages=delete_messages)
            messages.success(request, _("The account of %(name)s is closed.") % {"name": username})
            return redirect("site")
    except Refusal as error:
        messages.error(request, str(error))
        return redirect("site")
    context = {"form": form, "person": user}
    return render(request, "accounts/close.html", context, status=422 if form.errors else 200)

"""A user's profile, picture, username and preferences."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts import pictures, services
from apps.accounts.forms import PictureForm, PreferencesForm, ProfileForm, UsernameForm
from apps.accounts.guards import recently_authenticated
from apps.accounts.models import Picture, User
from apps.accounts.viewer import signed_in
from apps.core import locks
from apps.core.forms import save_unless_taken
from apps.core.limited import is_admitted, limited


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@limited("profile", in_form=True)
def profile(request: HttpRequest) -> HttpResponse:
    """Edit what others see of the user."""
    form = ProfileForm(request.POST or None, instance=fresh(request))
    if request.method == "POST" and form.is_valid() and is_admitted(request, form):
        services.store_profile(user=form.instance, fields=list(form.fields))
        messages.success(request, _("Your profile is saved."))
        return redirect("profile")
    return render_profile(request, form=form)


def render_profile(
    request: HttpRequest, *, form: ProfileForm | None = None, picture_form: PictureForm | None = None
) -> HttpResponse:
    """Render the page with both forms."""
    form, picture_form = form or ProfileForm(instance=fresh(request)), picture_form or PictureForm()
    context = {"form": form, "picture_form": picture_form}
    bad = form.errors or picture_form.errors
    return render(request, "accounts/profile.html", context, status=422 if bad else 200)


def fresh(request: HttpRequest) -> User:
    """Reload the viewer: forms write the input into their instance, and the page's header must not show that."""
    return get_object_or_404(User, pk=signed_in(request).pk)


@login_required
@require_POST
@limited("pictures", counts_refusals=True)
def set_picture(request: HttpRequest) -> HttpResponse:
    """Store an uploaded picture."""
    form = PictureForm(request.POST, request.FILES)
    if not form.is_valid():
        return render_profile(request, picture_form=form)
    small, large = form.sizes
    pictures.store(user=signed_in(request), small=small, large=large)
    messages.success(request, _("Your picture is stored."))
    return redirect("profile")


@login_required
@require_POST
@limited("profile")
def remove_picture(request: HttpRequest) -> HttpResponse:
    """Remove the picture, so that the initials show again."""
    pictures.remove(user=signed_in(request))
    messages.success(request, _("Your picture is removed."))
    return redirect("profile")


@require_safe
@cache_control(public=True, max_age=365 * 24 * 3600, immutable=True)
def picture(request: HttpRequest, key: str, size: str) -> HttpResponse:
    """Serve a picture to anyone with its URL: that can't be guessed, and is new for each picture."""
    if size not in {"small", "large"} or "\x00" in key:
        raise Http404
    data = get_object_or_404(Picture.objects.values_list(size, flat=True), key=key)
    return HttpResponse(bytes(data), content_type="image/webp")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@recently_authenticated
@limited("usernames", in_form=True)
def change_username(request: HttpRequest) -> HttpResponse:
    """Change the username. The old one stays reserved and leads to the new one."""
    form = UsernameForm(request.POST or None, instance=fresh(request))
    if request.method == "POST" and form.is_valid() and is_admitted(request, form):
        user = save_unless_taken(
            form,
            lambda: services.change_username(user=fresh(request), username=form.cleaned_data["username"]),
        )
        if user:
            messages.success(request, _("Your user name is %(name)s now.") % {"name": user.username})
            return redirect("profile")
    return render(request, "accounts/username.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@limited("preferences")
def preferences(request: HttpRequest) -> HttpResponse:
    """Edit the user's preferences."""
    # Not `request.POST or None`: a form with nothing chosen is empty.
    form = PreferencesForm(request.POST if request.method == "POST" else None, instance=fresh(request))
    if form.is_valid():
        locks.store(form.instance, list(form.fields))
        messages.success(request, _("Your preferences are saved."))
        return redirect("preferences")
    return render(request, "accounts/preferences.html", {"form": form}, status=422 if form.errors else 200)

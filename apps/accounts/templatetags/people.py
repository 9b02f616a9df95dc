"""Template tags for users, their account pages and the ways to sign in."""

from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from allauth.socialaccount.adapter import get_adapter
from django import template
from django.conf import settings
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from apps.accounts.models import User
from apps.accounts.preferences import attributes_of
from apps.core import letters
from apps.core.middleware import FORM_TARGETS

register = template.Library()

COLOURS = 8  # as many as in people.css


@register.simple_tag
def avatar(user_id: int | None, name: str, picture_key: str, size: str = "small") -> SafeString:
    """
    Return a user's picture, or their initials on a colour of their own: decoration next to the name.

    The initials are generated content of the style sheet, not text: text browsers would read them before the name.
    """
    if picture_key:
        source = reverse("picture", args=[picture_key, size])
        return format_html('<img class="avatar {}" src="{}" alt="" loading="lazy">', size, source)
    colour = (user_id or 0) % COLOURS
    return format_html('<span class="avatar {} colour-{}" data-initials="{}"></span>', size, colour, initials(name))


def initials(name: str) -> str:
    """Return the first letters of the first and the last word."""
    words = [[letter for letter in word if letters.has_letter(letter)] for word in name.split()]
    first = [word[0] for word in words if word]
    return "".join([first[0], first[-1]] if len(first) > 1 else first).upper()


@register.simple_tag(takes_context=True)
def providers(context: Context) -> list[Any]:
    """
    Return the sign-in providers.

    Their buttons redirect to them, so the Content-Security-Policy of pages that list them allows exactly these.
    """
    request = context["request"]
    found: list[Any] = get_adapter(request).list_providers(request)
    targets = getattr(request, FORM_TARGETS, set()) | {origin_of(one) for one in found}
    setattr(request, FORM_TARGETS, targets)
    return found


@register.simple_tag(takes_context=True)
def preference_attributes(context: Context) -> SafeString:
    """Return the viewer's id and preferences as attributes of <html>, for style sheets and scripts."""
    user = context.get("user")
    if not isinstance(user, User):
        return SafeString("")
    attributes = {"viewer": str(user.pk)} | attributes_of(user)
    return format_html_join("", ' data-{}="{}"', attributes.items())


@register.simple_tag(takes_context=True)
def way_back(context: Context) -> str:
    """Return a query string for links to the sign-in page that makes it return to the current page."""
    request = context.get("request")
    if request is None or request.path == "/" or "/accounts/" in request.path:
        return ""
    return f"?next={quote(request.get_full_path())}"


@register.simple_tag
def signup() -> str:
    """Return who may sign up: the SIGNUP setting."""
    return str(settings.SIGNUP)


@register.simple_tag
def sends_mail() -> bool:
    """Return whether mail is sent, and not just logged."""
    return bool(settings.SENDS_MAIL)


class AccountPage(NamedTuple):
    """A link in the account navigation."""

    url: str
    label: str
    is_current: bool


@register.simple_tag(takes_context=True)
def account_pages(context: Context) -> list[AccountPage]:
    """Return the links of the viewer's account navigation, in order."""
    viewer, path = context["user"], context["request"].path
    pages = [
        ("profile", gettext("Profile"), True),
        ("preferences", gettext("Preferences"), True),
        ("account_email", gettext("E-mail addresses"), True),
        ("account_change_password", gettext("Password"), True),
        ("socialaccount_connections", gettext("Accounts elsewhere"), bool(settings.SOCIALACCOUNT_PROVIDERS)),
        ("mfa_index", gettext("Second factor and passkeys"), True),
        ("sessions", gettext("Devices"), True),
        ("data", gettext("Your data"), True),
        ("invitations", gettext("Invitations"), viewer.is_site_moderator),
        ("site", gettext("The site"), viewer.is_site_owner),
    ]
    urls = [(reverse(name), label) for name, label, is_shown in pages if is_shown]
    # The second factor has several pages.
    factors = reverse("mfa_index")
    return [AccountPage(url, label, url == path or (url == factors and factors in path)) for url, label in urls]


def origin_of(provider: Any) -> str:
    """Return the origin where the provider asks users to sign in."""
    # OpenID Connect's exact page is known only from a request, and the server may be down; its origin is the server's.
    address = provider.app.settings.get("server_url") or provider.get_oauth2_adapter(provider.request).authorize_url
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"

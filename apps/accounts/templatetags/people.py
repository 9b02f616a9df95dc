"""People as pages show them, and the ways in from elsewhere."""

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

COLOURS = 8  # as many as people.css has


@register.simple_tag
def avatar(user_id: int | None, name: str, picture_key: str, size: str = "small") -> SafeString:
    """
    A person's picture, or their initials on a colour that stays theirs. It says nothing that the name does not.

    The initials are the style sheet's content, not text: text browsers would read them out before the name.
    """
    if picture_key:
        source = reverse("picture", args=[picture_key, size])
        return format_html('<img class="avatar {}" src="{}" alt="" loading="lazy">', size, source)
    colour = (user_id or 0) % COLOURS
    return format_html('<span class="avatar {} colour-{}" data-initials="{}"></span>', size, colour, initials(name))


def initials(name: str) -> str:
    """The first letters of the first and the last word."""
    words = [[letter for letter in word if letters.has_letter(letter)] for word in name.split()]
    first = [word[0] for word in words if word]
    return "".join([first[0], first[-1]] if len(first) > 1 else first).upper()


@register.simple_tag(takes_context=True)
def providers(context: Context) -> list[Any]:
    """
    The sites that one can sign in with.

    A page that lists them has buttons that lead there, so the page's security policy names them, and no other's.
    """
    request = context["request"]
    found: list[Any] = get_adapter(request).list_providers(request)
    targets = getattr(request, FORM_TARGETS, set()) | {origin_of(one) for one in found}
    setattr(request, FORM_TARGETS, targets)
    return found


@register.simple_tag(takes_context=True)
def preference_attributes(context: Context) -> SafeString:
    """Who the viewer is and what they prefer, as attributes of <html> for style sheets and scripts."""
    user = context.get("user")
    if not isinstance(user, User):
        return SafeString("")
    attributes = {"viewer": str(user.pk)} | attributes_of(user)
    return format_html_join("", ' data-{}="{}"', attributes.items())


@register.simple_tag(takes_context=True)
def way_back(context: Context) -> str:
    """What is added to an address that leads to signing in, so that one comes back to this page."""
    request = context.get("request")
    if request is None or request.path == "/" or "/accounts/" in request.path:
        return ""
    return f"?next={quote(request.get_full_path())}"


@register.simple_tag
def signup() -> str:
    """Who may make an account: SIGNUP."""
    return str(settings.SIGNUP)


@register.simple_tag
def sends_mail() -> bool:
    """Whether a mail goes out, and not into the log."""
    return bool(settings.SENDS_MAIL)


class AccountPage(NamedTuple):
    """A link in the navigation of one's account."""

    url: str
    label: str
    is_current: bool


@register.simple_tag(takes_context=True)
def account_pages(context: Context) -> list[AccountPage]:
    """The pages of the viewer's account, in the order of its navigation."""
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
    # Those of the second factor are several.
    factors = reverse("mfa_index")
    return [AccountPage(url, label, url == path or (url == factors and factors in path)) for url, label in urls]


def origin_of(provider: Any) -> str:
    """Where the provider asks people to sign in."""
    # Of OpenID Connect the page itself is known only by asking the server, which may be away; it is on its origin.
    address = provider.app.settings.get("server_url") or provider.get_oauth2_adapter(provider.request).authorize_url
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"

"""What the user typed into a form that was refused, given back by the error page; for every form of the site."""

from dataclasses import dataclass, field

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core import limits
from apps.core.answers import is_for_htmx

# Text fields with their labels. The values of other fields are resubmitted as hidden ones, unless they look like text.
LABELS: dict[str, str | Promise] = {
    "about": _("About you"),
    "body": _("Message"),
    "code": _("Code"),
    "display_name": _("Name"),
    "email": _("Email"),
    "heir": _("Who owns the site after you"),
    "login": _("User name or e-mail address"),
    "most_uses": _("How many people may use it"),
    "name": _("Name"),
    "note": _("For whom"),
    "oldpassword": _("Current Password"),
    "password": _("Password"),
    "password1": _("Password"),
    "password2": _("Password (again)"),
    "pronouns": _("Pronouns"),
    "topic": _("Topic"),
    "username": _("User name"),
}
LONG = {"about", "body"}
OURS = "csrfmiddlewaretoken"
UNREADABLE = (BadRequest, SuspiciousOperation, UnreadablePostError, MultiPartParserError)


@dataclass(frozen=True)
class Field:
    """One form value, as it is given back."""

    name: str
    value: str

    @property
    def is_secret(self) -> bool:
        """Return whether the value must not be written into a page; users type it again."""
        return "password" in self.name

    @property
    def is_seen(self) -> bool:
        """Return whether a person probably wrote the value."""
        return self.name in LABELS or len(self.value.split()) > 1

    @property
    def is_long(self) -> bool:
        return self.name in LONG or "\n" in self.value

    @property
    def label(self) -> str:
        return str(LABELS.get(self.name, self.name))


@dataclass(frozen=True)
class Kept:
    """Everything that a form contained, ready to be submitted again."""

    fields: list[Field] = field(default_factory=list)
    # Pages can't fill these in: users have to choose them again.
    files: list[str] = field(default_factory=list)

    @property
    def is_in_frame(self) -> bool:
        """Return whether the form was in an iframe (chat/composer_frame.html), where the response is shown too."""
        return any(one.name == "frame" for one in self.fields)

    @property
    def base(self) -> str:
        """Return the base template of the page."""
        return "framed.html" if self.is_in_frame else "base.html"

    @property
    def has_anything(self) -> bool:
        """Return whether the form had more than a button."""
        return bool(self.fields or self.files)

    @property
    def has_text(self) -> bool:
        """Return whether there is something that the user wrote."""
        return any(one.value.strip() and one.is_seen for one in self.fields)

    @property
    def is_stored_once(self) -> bool:
        """Return whether the form has a client id, so it is stored once however often it is sent."""
        return self.has_text and any(one.name == "client_id" and one.value for one in self.fields)


def kept_of(request: HttpRequest) -> Kept | None:
    """Return what the form held; None if there is none, it can't be read, or another site may have sent it."""
    if request.method != "POST" or not came_from_here(request) or is_large(request):
        return None
    try:
        lists, files = list(request.POST.lists()), list(request.FILES)
    except UNREADABLE:
        return None
    values = [(name, value) for name, values in lists if name != OURS for value in values if isinstance(value, str)]
    return Kept([Field(clean(name), "" if "password" in name else clean(value)) for name, value in values], files)


def would_lose(request: HttpRequest) -> bool:
    """Return whether a redirect would lose something: text, files, or the response that a script expects."""
    kept = kept_of(request)
    return is_for_htmx(request) or is_too_long(request) or (kept is not None and (kept.has_text or bool(kept.files)))


def is_large(request: HttpRequest) -> bool:
    """Return whether the body is larger than anything typed. Parsing it would take a tenth of a second."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0) > limits.MAX_KEPT_BYTES
    except ValueError:
        return True


def is_too_long(request: HttpRequest) -> bool:
    """Return whether the user sent a form from here that is too large to be given back."""
    return request.method == "POST" and is_large(request) and came_from_here(request)


def came_from_here(request: HttpRequest) -> bool:
    """
    Return whether a page of this site sent the form, as far as the browser tells.

    The page that gives a form back contains a valid CSRF token: forms from other sites must not get one.
    """
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    if "Origin" in request.headers:
        # Django's own CSRF check, which knows the site's origins.
        return bool(CsrfViewMiddleware(lambda _: HttpResponse())._origin_verified(request))  # type: ignore[attr-defined]
    # Only browsers without JavaScript send neither.
    return True


def clean(text: str) -> str:
    """Remove what a page can't contain: NUL characters and lone surrogates."""
    return text.replace("\x00", "").replace("\r\n", "\n").encode(errors="ignore").decode()

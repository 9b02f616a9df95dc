"""What somebody typed into a form that was refused, given back by the page that says so; for every form of the site."""

from dataclasses import dataclass, field

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core import limits
from apps.core.answers import is_for_htmx

# Fields that people write in, with what they are called. What other fields hold goes along unseen, unless it is words.
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
    """One value of a form, as it is given back."""

    name: str
    value: str

    @property
    def is_secret(self) -> bool:
        """Never written into a page; asked for again."""
        return "password" in self.name

    @property
    def is_seen(self) -> bool:
        """Whether somebody wrote it, as far as one can tell."""
        return self.name in LABELS or len(self.value.split()) > 1

    @property
    def is_long(self) -> bool:
        return self.name in LONG or "\n" in self.value

    @property
    def label(self) -> str:
        return str(LABELS.get(self.name, self.name))


@dataclass(frozen=True)
class Kept:
    """All that a form held, to be sent again as it was."""

    fields: list[Field] = field(default_factory=list)
    # A page cannot give these back: they have to be chosen again.
    files: list[str] = field(default_factory=list)

    @property
    def is_in_frame(self) -> bool:
        """Whether the form stood in a frame of the page (chat/composer_frame.html), where the answer is shown too."""
        return any(one.name == "frame" for one in self.fields)

    @property
    def base(self) -> str:
        """The page around it."""
        return "framed.html" if self.is_in_frame else "base.html"

    @property
    def has_anything(self) -> bool:
        """Whether it was more than a button."""
        return bool(self.fields or self.files)

    @property
    def has_text(self) -> bool:
        """Whether there is something that somebody wrote."""
        return any(one.value.strip() and one.is_seen for one in self.fields)

    @property
    def is_stored_once(self) -> bool:
        """Whether it has an id of its own, by which it is stored once, however often it is sent."""
        return self.has_text and any(one.name == "client_id" and one.value for one in self.fields)


def kept_of(request: HttpRequest) -> Kept | None:
    """What the request's form held; None where there is none, it cannot be read, or another site may have sent it."""
    if request.method != "POST" or not came_from_here(request) or is_large(request):
        return None
    try:
        lists, files = list(request.POST.lists()), list(request.FILES)
    except UNREADABLE:
        return None
    values = [(name, value) for name, values in lists if name != OURS for value in values if isinstance(value, str)]
    return Kept([Field(clean(name), "" if "password" in name else clean(value)) for name, value in values], files)


def would_lose(request: HttpRequest) -> bool:
    """Whether to lead elsewhere would lose something: what was written, or what a script asked for."""
    kept = kept_of(request)
    return is_for_htmx(request) or is_too_long(request) or (kept is not None and (kept.has_text or bool(kept.files)))


def is_large(request: HttpRequest) -> bool:
    """Whether it is more than anybody types. To read it, for whoever sends it, would cost a tenth of a second."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0) > limits.MAX_KEPT_BYTES
    except ValueError:
        return True


def is_too_long(request: HttpRequest) -> bool:
    """Whether somebody sent a form here that no page gives back, since it holds more than anybody types."""
    return request.method == "POST" and is_large(request) and came_from_here(request)


def came_from_here(request: HttpRequest) -> bool:
    """
    Whether a page of this site sent the form, as far as the browser says.

    The page that gives a form back holds a good token for it: a form of another site's must not get one.
    """
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    if "Origin" in request.headers:
        # Django's own check of forms, which knows what the site is called.
        return bool(CsrfViewMiddleware(lambda _: HttpResponse())._origin_verified(request))  # type: ignore[attr-defined]
    # Only browsers without scripts of their own send neither.
    return True


def clean(text: str) -> str:
    """As a page can hold it: neither NUL nor half a character."""
    return text.replace("\x00", "").replace("\r\n", "\n").encode(errors="ignore").decode()

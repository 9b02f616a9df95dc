"""Forms for accounts and profiles."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from typing import Any
from zoneinfo import available_timezones

from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from allauth.socialaccount.forms import SignupForm as AllauthSocialSignupForm
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from apps.accounts import closing, mail, names, pictures, proof, services
from apps.accounts.address_forms import NewAddressMixin
from apps.accounts.models import User
from apps.accounts.preferences import PREFERENCES
from apps.core import letters, limits
from apps.core.forms import OneLineField, PlainTextField, VisibleTextField, save_unless_taken

USERNAME_HINT = _("Letters and digits, with . _ + - between them. Others see it, and you may sign in with it.")
NAME_BOX = {"autocapitalize": "none", "spellcheck": "false"}


class LoginForm(AllauthLoginForm):
    """Sign in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The field takes a name or an address; with "email" a password manager would not offer stored usernames.
        self.fields["login"].widget.attrs |= {"autocomplete": "username", **NAME_BOX}
        self.fields["login"].label = _("User name or e-mail address")
        drop_placeholders(self)


class NameTakenError(Exception):
    """Someone else took the name first; the form now has the error."""


class SignupForm(NewAddressMixin, AllauthSignupForm):
    """Create an account. Saving raises NameTakenError if someone else was faster."""

    def clean_email(self) -> str:
        address: str = super().clean_email()
        if proof.can_prove():
            mail.check(context.request, address)
        return address

    def try_save(self, request: HttpRequest) -> Any:
        return saved_or_taken(self, partial(super().try_save, request))

    def made_just_now(self) -> User | None:
        """Return the account that this same form created a moment ago, if its button was clicked twice."""
        if set(self.errors) != {"username"} or not self.has_error("username", "username_taken"):
            return None
        typed = {"name_key": letters.key(names.normalized(self.data["username"])), "email": self.cleaned_data["email"]}
        since = timezone.now() - timedelta(seconds=limits.SENT_TWICE_SECONDS)
        user = User.objects.filter(**typed, date_joined__gt=since).first()
        return user if user and user.check_password(self.cleaned_data["password1"]) else None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        describe_sign_up(self)


class SocialSignupForm(NewAddressMixin, AllauthSocialSignupForm):
    """Create an account for a user of a sign-in provider. Saving raises NameTakenError if someone else was faster."""

    def save(self, request: HttpRequest) -> User:
        with transaction.atomic():
            closing.lock_all_at(*(one.email.lower() for one in self.sociallogin.email_addresses))
            user: User = super().save(request)
            closing.settle(user=user)
            return user

    def try_save(self, request: HttpRequest) -> Any:
        return saved_or_taken(self, partial(super().try_save, request))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        describe_sign_up(self)


def saved_or_taken(form: forms.Form, save: Callable[[], Any]) -> Any:
    """Return what `save` returns. Raises NameTakenError."""
    saved = save_unless_taken(form, save)
    if saved is None:
        raise NameTakenError
    return saved


def drop_placeholders(form: forms.Form) -> None:
    """Remove placeholders: they repeat the labels, and look like input."""
    for field in form.fields.values():
        field.widget.attrs.pop("placeholder", None)


def describe_sign_up(form: forms.Form) -> None:
    """Set labels and hints of both sign-up forms."""
    form.fields["username"].help_text = USERNAME_HINT
    form.fields["username"].widget.attrs |= NAME_BOX
    if "email" in form.fields:
        # Drop allauth's "(optional)": our field template already adds it.
        form.fields["email"].label = _("Email")
    drop_placeholders(form)
    if settings.SENDS_MAIL:
        form.fields["email"].help_text = _("You are sent a code to confirm it.")


@cache
def time_zones() -> list[tuple[Any, Any]]:
    """Return the time zones by continent for a select, starting with the site's own."""
    areas: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(available_timezones()):
        area, place = name.partition("/")[::2]
        # The rest are deprecated aliases, or places nobody lives in, such as Etc/GMT+5.
        if place and area not in {"Etc", "SystemV", "US", "Canada", "Brazil", "Chile", "Mexico", "posix", "right"}:
            areas.setdefault(area, []).append((name, place.replace("_", " ").replace("/", ", ")))
    return [("", format_lazy(_("The site’s own ({zone})"), zone=settings.TIME_ZONE)), ("UTC", "UTC"), *areas.items()]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """A user's profile, as others see it."""

    display_name = OneLineField(
        max_length=60,
        required=False,
        label=_("Name"),
        help_text=_("What others call you. Without one, it is your user name."),
    )
    pronouns = OneLineField(max_length=30, required=False, label=_("Pronouns"), help_text=_("For example: she/her."))
    about = VisibleTextField(
        max_length=500,
        required=False,
        label=_("About you"),
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("A few sentences."),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=time_zones,
        required=False,
        help_text=_("Messages show the time that it is there."),
    )

    language = forms.ChoiceField(
        label=_("Language"),
        choices=[("", _("The browser’s")), *settings.LANGUAGES],
        required=False,
        help_text=_("What this site speaks to you."),
    )

    class Meta:
        model = User
        fields = ["display_name", "pronouns", "about", "time_zone", "language"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["display_name"].widget.attrs["autocomplete"] = "name"

    def clean_display_name(self) -> str:
        name: str = self.cleaned_data["display_name"]
        if name == self.initial.get("display_name"):
            return name  # unchanged, so it is accepted whatever the rules were at the time
        name = names.clean_display_name(name)
        if name and services.name_is_taken(name, self.instance):
            raise ValidationError(
                _("This is somebody else’s user name, or looks like it. Choose another."), code="taken"
            )
        return name


class UsernameForm(forms.ModelForm):  # type: ignore[type-arg]
    """Change the username."""

    username = PlainTextField(
        label=_("User name"),
        help_text=USERNAME_HINT,
        widget=forms.TextInput(attrs={"autocomplete": "username", **NAME_BOX}),
    )

    class Meta:
        model = User
        fields = ["username"]

    def clean_username(self) -> str:
        closing.let_name_go(self.cleaned_data["username"])
        return services.clean_username(self.cleaned_data["username"], user=self.instance)


class PictureForm(forms.Form):
    """Upload a profile picture. When valid, `sizes` has it small and large."""

    picture = forms.FileField(
        label=_("Picture"),
        allow_empty_file=True,
        help_text=_("JPEG, PNG, WebP or GIF, 5 MB at most. Its middle square is shown."),
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/gif"}),
        error_messages={"required": _("Choose a file first.")},
    )
    sizes: tuple[bytes, bytes]

    def clean_picture(self) -> UploadedFile:  # type: ignore[type-arg]  # not generic at run time
        upload: UploadedFile = self.cleaned_data["picture"]  # type: ignore[type-arg]
        self.sizes = pictures.square_sizes(upload, upload.size or 0)
        return upload


def has_choices(name: str) -> bool:
    """Return whether a column of User has choices; otherwise it is a switch."""
    return bool(User._meta.get_field(name).choices)  # type: ignore[union-attr]


class PreferencesForm(forms.ModelForm):  # type: ignore[type-arg]
    """The user's preferences."""

    class Meta:
        model = User
        fields = [one.name for one in PREFERENCES]
        labels = {one.name: one.label for one in PREFERENCES}
        help_texts = {one.name: one.hint for one in PREFERENCES if one.hint}
        widgets = {one.name: forms.RadioSelect for one in PREFERENCES if has_choices(one.name)}


class InvitationForm(forms.Form):
    """Create an invitation link."""

    note = OneLineField(
        max_length=80, required=False, label=_("For whom"), help_text=_("Only for the list of invitations.")
    )
    most_uses = forms.IntegerField(
        min_value=1, max_value=1000, initial=1, label=_("How many people may use it"), help_text=_("From 1 to 1000.")
    )
    days = forms.TypedChoiceField(
        coerce=int,
        initial=7,
        label=_("Good for"),
        choices=[(1, _("1 day")), (7, _("7 days")), (30, _("30 days")), (365, _("1 year"))],
    )


class SiteRoleForm(forms.Form):
    """Choose a user's role on the site."""

    role = forms.ChoiceField(choices=User.Role.choices)

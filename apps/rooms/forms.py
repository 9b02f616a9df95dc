"""Validation of input about rooms."""

import unicodedata
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.names import check_strays
from apps.accounts.services import account_named
from apps.core import letters
from apps.core.forms import OneLineField, PlainTextField
from apps.rooms.models import MAX_CHARACTERS, MAX_KEY_CHARACTERS, Membership, Room, name_key


class RoomForm(forms.ModelForm):  # type: ignore[type-arg]
    """Create a room or change its details."""

    name = OneLineField(
        max_length=MAX_CHARACTERS, label=_("Name"), help_text=_("What the room is about, in a few words.")
    )
    topic = OneLineField(
        max_length=250, required=False, label=_("Topic"), help_text=_("A sentence for those who look for a room.")
    )

    class Meta:
        model = Room
        fields = ["name", "topic", "access"]
        widgets = {"access": forms.RadioSelect}
        labels = {"access": _("Who may read and join")}

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        # Not the instance's name: cleaning replaces it, and the form may be validated again.
        if name == self.initial.get("name"):
            return name  # even if today's rules would refuse it
        check_strays(name)
        name = unicodedata.normalize("NFC", name)
        if not letters.has_sign(name):
            raise forms.ValidationError(_("A name needs a letter or a digit."), code="no_letter")
        # One character may normalise to eighteen.
        if len(name) > MAX_CHARACTERS or len(name_key(name)) > MAX_KEY_CHARACTERS:
            raise forms.ValidationError(
                _("Some letters of this name stand for many. Write it in fewer, or in plainer ones."), code="too_long"
            )
        if Room.objects.filter(name_key=name_key(name)).exclude(pk=self.instance.pk).exists():
            # Reveals only that the name is taken, not who can see that room.
            raise forms.ValidationError(_("Another room has this name. Choose a different one."), code="taken")
        return name


class InviteForm(forms.Form):
    """Invite an account to a room by its username."""

    username = PlainTextField(
        max_length=150,
        label=_("User name"),
        help_text=_("Of somebody with an account here."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        self.user = account_named(username)
        if self.user is None:
            raise forms.ValidationError(_("Nobody here has this user name. Check how it is written."), code="unknown")
        return username

    user: User | None = None


class RoleForm(forms.Form):
    """Choose a member's role."""

    role = forms.TypedChoiceField(choices=Membership.Role.choices, coerce=int)


class DeleteRoomForm(forms.Form):
    """Confirm a deletion by typing the room's name."""

    name = PlainTextField(max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, data: Any = None, *, room: Room) -> None:
        # Shares a page with the details form, which also has a `name` field.
        super().__init__(data, auto_id="delete_%s")
        self.room = room
        self.fields["name"].label = _("The room’s name")
        self.fields["name"].help_text = gettext("Type “%(name)s” to confirm.") % {"name": room.name}

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.room.name and name_key(name) != name_key(self.room.name):
            raise forms.ValidationError(_("This is not the room’s name, so nothing was deleted."), code="mismatch")
        return name

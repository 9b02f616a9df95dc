"""Forms for closing accounts."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts import services
from apps.accounts.forms import NAME_BOX
from apps.accounts.models import User
from apps.core import letters
from apps.core.forms import PlainTextField


class DeleteAccountForm(forms.Form):
    """Confirm closing your own account, and choose what happens to your messages."""

    class Messages(TextChoices):
        KEEP = "keep", _("Stay, under the name “Deleted account”")
        DELETE = "delete", _("Delete them; a note stays where each one was")

    messages = forms.ChoiceField(
        label=_("Your messages"),
        choices=Messages.choices,
        widget=forms.RadioSelect,
        initial=Messages.KEEP,
    )
    heir = PlainTextField(
        label=_("Who owns the site after you"),
        help_text=_("The user name of somebody with an account here. You are the only owner, and a site needs one."),
        widget=forms.TextInput(attrs={"autocomplete": "off", **NAME_BOX}),
    )
    username = PlainTextField(
        label=_("Your user name"), widget=forms.TextInput(attrs={"autocomplete": "off", **NAME_BOX})
    )

    def __init__(self, *args: Any, user: User, needs_heir: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["username"].help_text = gettext("Type “%(name)s” to confirm.") % {"name": user.username}
        if not needs_heir:
            del self.fields["heir"]

    def clean_heir(self) -> User:
        heir = services.account_named(self.cleaned_data["heir"])
        if heir is None or heir == self.user:
            raise ValidationError(_("Nobody else here has this user name. Check how it is written."), code="unknown")
        return heir

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"].strip()
        if letters.key(username) != letters.key(self.user.username):
            raise ValidationError(_("This is not your user name, so nothing was deleted."), code="mismatch")
        return username


class CloseAccountForm(DeleteAccountForm):
    """Confirm closing another user's account, and choose what happens to their messages."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, user=user, needs_heir=False, **kwargs)
        self.fields["messages"].label = _("Messages of this person")
        self.fields["username"].label = _("User name of this person")

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"].strip()
        if letters.key(username) != letters.key(self.user.username):
            raise ValidationError(_("This is not their user name, so the account was not closed."), code="mismatch")
        return username

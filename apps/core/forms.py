"""What every form shares: its look, and text that a database can hold."""

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.db import IntegrityError
from django.forms.renderers import TemplatesSetting
from django.utils.translation import gettext_lazy as _

from apps.core import letters
from apps.core.database import is_taken

T = TypeVar("T")
# How often one thing is stored where each time somebody else takes what it needs.
TRIES = 5


class AccessibleFormRenderer(TemplatesSetting):
    """Renders fields as label, hint, error and box, tied together for screen readers."""

    form_template_name = "core/form.html"
    field_template_name = "core/field.html"


class PlainTextField(forms.CharField):
    """
    Text that survives the trip to any database: neither NUL nor half a surrogate pair.

    Line ends are kept as single newlines, whatever the browser sent.
    """

    def to_python(self, value: Any) -> str:
        text = super().to_python(value) or ""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "\x00" in text:
            raise forms.ValidationError(_("The text holds a NUL character. Take it out and send again."), code="nul")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise forms.ValidationError(
                _("The text holds half of a character. Take out what looks broken and send again."), code="surrogate"
            ) from None
        return text


class VisibleTextField(PlainTextField):
    """Text for others to read: where nothing of it is to be seen, it is as if nothing had been typed."""

    def to_python(self, value: Any) -> str:
        text = super().to_python(value)
        return "" if letters.is_blank(text) else text


class OneLineField(VisibleTextField):
    """A line of text: any run of white space becomes one space, once the text has passed as it was sent."""

    def clean(self, value: Any) -> str:
        return " ".join(super().clean(value).split())


def save_unless_taken(form: forms.BaseForm, save: Callable[[], T]) -> T | None:
    """
    What `save`, which is one transaction, returns; None where somebody was faster, and the form says so.

    The form has asked whether a name is free, but between two who ask at once only the database decides. Asked
    again, the form finds what the other has stored, and says the same as it would have said a moment later. Where it
    finds nothing wrong, what was taken is nothing that the person chose, such as a room's address: saving again
    chooses another.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return save()
        except IntegrityError as error:
            if not is_taken(error):
                raise
            form.full_clean()
            if not form.is_valid():
                return None
            if attempt == TRIES:
                raise
    return None

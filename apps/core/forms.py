"""What all forms share: their rendering, and text that any database can store."""

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.db import IntegrityError
from django.forms.renderers import TemplatesSetting
from django.utils.translation import gettext_lazy as _

from apps.core import letters
from apps.core.database import is_taken

T = TypeVar("T")
# How often to save again after someone else took a unique value first.
TRIES = 5


class AccessibleFormRenderer(TemplatesSetting):
    """Renders a field as label, hint, error and input, linked for screen readers."""

    form_template_name = "core/form.html"
    field_template_name = "core/field.html"


class PlainTextField(forms.CharField):
    """
    Text that any database can store: no NUL and no lone surrogates.

    Line endings become single newlines, whatever the browser sent.
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
    """Text for others to read: if nothing in it is visible, it counts as empty."""

    def to_python(self, value: Any) -> str:
        text = super().to_python(value)
        return "" if letters.is_blank(text) else text


class OneLineField(VisibleTextField):
    """A line of text: after validation, runs of white space become single spaces."""

    def clean(self, value: Any) -> str:
        return " ".join(super().clean(value).split())


def save_unless_taken(form: forms.BaseForm, save: Callable[[], T]) -> T | None:
    """
    Return the result of `save`, which is one transaction; None with an error on the form if a unique value was taken.

    The form has checked whether a name is free, but for two concurrent requests only the database decides. Validating
    again finds the row that the other one stored, and reports what it would have reported a moment later. If it finds
    nothing wrong, the value taken was not the user's choice, such as a room's slug: saving again picks another one.
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

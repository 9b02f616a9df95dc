"""What every form shares: its look, and text that a database can hold."""

from typing import Any

from django import forms
from django.forms.renderers import TemplatesSetting
from django.utils.translation import gettext_lazy as _


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


class OneLineField(PlainTextField):
    """A line of text: any run of white space becomes one space, once the text has passed as it was sent."""

    def clean(self, value: Any) -> str:
        return " ".join(super().clean(value).split())

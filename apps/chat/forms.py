"""Validation of message input, from forms and sockets alike."""

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.chat.models import MAX_CHARACTERS, MAX_SEQ, Message
from apps.core.forms import VisibleTextField
from apps.rooms.models import Membership


class BodyField(VisibleTextField):
    """A message's Markdown: visible text, not too long. Strips leading blank lines and trailing white space."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            strip=False,
            max_length=MAX_CHARACTERS,
            widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
            error_messages={
                "required": _("Write something first."),
                "max_length": _(
                    "A message has at most %(limit_value)d characters; this one has %(show_value)d."
                    " Shorten it, or send it in parts."
                ),
            },
            **kwargs,
        )

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Omit `maxlength`: browsers silently truncate pasted text, and count in other units."""
        return {name: value for name, value in super().widget_attrs(widget).items() if name != "maxlength"}

    def to_python(self, value: Any) -> str:
        # Not strip(): an indented first line is code in Markdown.
        text = super().to_python(value).rstrip()
        return text.lstrip("\n") if text else ""


class MessageForm(forms.Form):
    """A new message."""

    body = BodyField(label=_("Message"))
    client_id = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages={
            "required": _("The page is out of date. Reload it and send again."),
            "invalid": _("The page is out of date. Reload it and send again."),
        },
    )

    @classmethod
    def empty(cls, body: str = "") -> "MessageForm":
        """Return a form for the next message, with a new id."""
        return cls(initial={"client_id": uuid.uuid4(), "body": body})


class ReadForm(forms.Form):
    """How far a user has read."""

    seq = forms.IntegerField(min_value=0, max_value=MAX_SEQ)


class AnnouncementsForm(forms.Form):
    """What a screen reader announces in a room while it is open."""

    announces = forms.ChoiceField(
        label=_("What is announced while the room is open"),
        choices=Membership.Announces.choices,
        widget=forms.RadioSelect,
    )


class EditForm(forms.Form):
    """A message's new text, and the version that was edited."""

    body = BodyField(label=_("Message"))
    version = forms.IntegerField(min_value=0, max_value=MAX_SEQ, required=False, widget=forms.HiddenInput)

    @classmethod
    def of(cls, message: Message) -> "EditForm":
        """Return the form for a message as it is now."""
        return cls(initial={"body": message.body, "version": message.version})

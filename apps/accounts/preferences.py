"""User preferences: each is declared here, and has a column in models.py."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User


@dataclass(frozen=True)
class Preference:
    """A preference, named after its column."""

    name: str
    label: Promise
    hint: Promise | str = ""
    # Style sheets and scripts read it as `data-<attribute>` of <html>, which is omitted for an empty value.
    attribute: str = ""
    # Attribute values for a switch.
    on: str = "on"
    off: str = ""

    def value_for(self, user: User) -> str:
        """Return the attribute's value."""
        value: str | bool = getattr(user, self.name)
        if isinstance(value, bool):
            return self.on if value else self.off
        return value


# In the form's order.
PREFERENCES = [
    Preference("theme", _("Colours"), attribute="theme"),
    Preference("text_size", _("Text"), attribute="text"),
    Preference("density", _("Messages"), attribute="density"),
    Preference("motion", _("Movement"), attribute="motion"),
    Preference("clock", _("Clock")),
    Preference("enter_key", _("The Enter key"), attribute="enter"),
    Preference(
        "reading_order",
        _("Order in which a message is read out"),
        _("By a screen reader, also when a new message is announced."),
    ),
    Preference("says_sent", _("Say “Sent” when my own message is stored"), attribute="says-sent"),
    Preference("says_changes", _("Say when messages are edited or deleted"), attribute="says-changes"),
    Preference(
        "letter_keys",
        _("Letters move in a room: J, K, U, R and ?"),
        _("Switch this off if you speak to your computer, or press letters by accident."),
        attribute="letters",
        on="",
        off="off",
    ),
    Preference(
        "sounds",
        _("Play a sound for a new message"),
        _("In a room that is open in another tab or window."),
        attribute="sounds",
    ),
]


def attributes_of(user: User) -> dict[str, str]:
    """Return the attributes of <html> for a user's preferences."""
    found = {one.attribute: one.value_for(user) for one in PREFERENCES if one.attribute}
    return {attribute: value for attribute, value in found.items() if value}

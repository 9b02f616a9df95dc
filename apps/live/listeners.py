"""Listeners: open pages, as the hub sees them."""

from dataclasses import dataclass, field

from django.utils import translation
from django.utils.functional import Promise
from django.utils.html import escape

from apps.accounts.sign_ins import SignIn
from apps.live.frames import Burst, Frame, unnumbered
from apps.live.lines import Line
from apps.live.parts import Part, Parts, Swap

# Close codes (docs/architecture.md). A page stays away after the first two and reconnects after the third.
SIGNED_OUT = 4401
NO_LONGER_ALLOWED = 4403
COME_BACK = 1000


def alert(reason: str | Promise, language: str) -> Parts:
    """Return the part that tells a page why it ends and leaves the user's draft in place."""
    with translation.override(language):
        return (farewell_alert(reason),)


def farewell_alert(reason: str | Promise) -> Part:
    """Return the part that says, as an alert in the active language, why a page ends."""
    said = str(reason)
    return Part("alert", Swap.INNER, escape(said), {"kind": "farewell", "reason": said})


@dataclass(eq=False, slots=True)
class Listener:
    """An open page: its line, the viewer's sign-in, and its language."""

    line: Line
    sign_in: SignIn
    language: str = "en"
    is_ended: bool = False
    # The names of the feeds it listens to.
    feeds: list[str] = field(default_factory=list)

    def show(self, text: str) -> None:
        """Send one frame to this page alone."""
        self.line.write(Burst([Frame(text)]))

    def end(self, code: int, parts: Parts = ()) -> None:
        """Show the parts, if any, then close."""
        self.is_ended = True
        if parts:
            self.line.write(Burst([unnumbered(parts)]))
        self.line.close(code)

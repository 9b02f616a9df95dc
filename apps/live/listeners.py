"""Listeners: open pages, as the hub sees them."""

from dataclasses import dataclass

from django.utils import translation
from django.utils.functional import Promise
from django.utils.html import format_html

from apps.accounts.sign_ins import SignIn
from apps.live.lines import Burst, Line

# Close codes (docs/architecture.md). A page stays away after the first two and reconnects after the third.
SIGNED_OUT = 4401
NO_LONGER_ALLOWED = 4403
COME_BACK = 1000


def alert(reason: str | Promise, language: str) -> str:
    """Return the part of a frame that tells a page why it ends and leaves the user's draft in place."""
    with translation.override(language):
        return format_html('<hx-partial hx-target="#alert" hx-swap="innerHTML">{}</hx-partial>', reason)


@dataclass(eq=False, slots=True)
class Listener:
    """An open page: its line, the viewer's sign-in, and its language."""

    line: Line
    sign_in: SignIn
    language: str = "en"
    is_ended: bool = False

    def show(self, html: str) -> None:
        """Send one frame to this page alone."""
        self.line.write(Burst([html]))

    def end(self, code: int, html: str = "") -> None:
        """Show `html`, if any, then close."""
        self.is_ended = True
        if html:
            self.show(html)
        self.line.close(code)

"""What people would call the browsers that they are signed in with."""

import re

from django.utils.translation import gettext as _

# Browsers name those that they descend from too, so the order counts.
BROWSERS = [
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\bOPR/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Chrome|CriOS)/"),
    ("Safari", r"\bSafari/"),
]
SYSTEMS = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac", "Mac OS X"),
    ("Linux", "Linux"),
]


def device_of(user_agent: str) -> str:
    """A few words such as "Firefox on Linux"."""
    browser = next((name for name, pattern in BROWSERS if re.search(pattern, user_agent)), _("A browser"))
    system = next((name for name, pattern in SYSTEMS if pattern in user_agent), "")
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": system} if system else browser

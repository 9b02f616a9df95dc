"""Names of browsers for the list of signed-in devices."""

import re

from django.utils.translation import gettext as _

# In order: browsers also name those that they are derived from.
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
    """Return a short description such as "Firefox on Linux"."""
    browser = next((name for name, pattern in BROWSERS if re.search(pattern, user_agent)), _("A browser"))
    system = next((name for name, pattern in SYSTEMS if pattern in user_agent), "")
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": system} if system else browser

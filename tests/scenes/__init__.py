"""
What tests of running sites do to a site's database: functions that `Site.run` calls in a process of the site.

They take and return only what JSON can carry, since that process has other settings and another database than the
tests.
"""

import json


def as_json(value: object) -> str:
    """The value as JSON. Raises TypeError if it would arrive changed, as a tuple or a number as a key would."""
    text = json.dumps(value)
    if json.loads(text) != value:
        raise TypeError(f"JSON can't carry {value!r} unchanged")
    return text

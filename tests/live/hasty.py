"""The site with other limits: LIMITS holds names from apps.core.limits and their values, as JSON."""

import json
import os

from apps.core import limits

for name, value in json.loads(os.environ["LIMITS"]).items():
    assert hasattr(limits, name)
    setattr(limits, name, value)

from config.asgi import application  # noqa: E402

__all__ = ["application"]

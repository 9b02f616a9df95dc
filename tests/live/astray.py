"""The site on a machine whose clock is CLOCK_AHEAD seconds ahead: `daphne tests.live.astray:application`."""

import os
from datetime import datetime, timedelta

from django.utils import timezone

right = timezone.now


def now() -> datetime:
    return right() + timedelta(seconds=float(os.environ["CLOCK_AHEAD"]))


timezone.now = now

from config.asgi import application  # noqa: E402, F401

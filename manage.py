#!/usr/bin/env python
"""Django's command line."""

import os
import sys
from importlib.util import find_spec

NO_LIBRARIES = """This Python, {python}, lacks what the site needs ({missing}).
Use the one that `make run` made: .venv/bin/python manage.py {arguments}"""


def main() -> None:
    """Run the command named in sys.argv."""
    missing = [name for name in ("django", "channels", "allauth", "environ") if find_spec(name) is None]
    if missing:
        arguments = " ".join(sys.argv[1:])
        sys.exit(NO_LIBRARIES.format(python=sys.executable, missing=", ".join(missing), arguments=arguments))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except DatabaseError as error:
        if "--traceback" in sys.argv or not (advice := advice_on(error)):
            raise
        sys.exit(advice)


def advice_on(error: Exception) -> str:
    """Return advice if the database is down or not migrated; an empty string otherwise."""
    from apps.core.database import NO_DATABASE
    from apps.core.views import NOT_ANSWERING, reason_not_ready

    reason = reason_not_ready()
    if reason == NOT_ANSWERING and not isinstance(error, NO_DATABASE):
        return ""  # the database is up; the command's own transaction has failed
    if reason == NOT_ANSWERING:
        return f"The database does not answer ({error}). Is its server running, and DATABASE_URL right?"
    return f"The database is not up to date: {reason}. Run first: {sys.executable} manage.py migrate" if reason else ""


if __name__ == "__main__":
    main()

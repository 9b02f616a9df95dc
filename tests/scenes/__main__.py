"""`python -m tests.scenes MODULE FUNCTION` calls it with the arguments from standard input, and prints its result."""

import json
import os
import sys
from importlib import import_module

import django

from tests.scenes import as_json


def main() -> None:
    """Run the function named in sys.argv with the site's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    module, name = sys.argv[1:]
    arguments, named = json.load(sys.stdin)
    print(as_json(getattr(import_module(module), name)(*arguments, **named)))


if __name__ == "__main__":
    main()

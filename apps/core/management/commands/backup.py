"""Back the site up while it runs."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.backups import BackupError, copies, making


class Command(BaseCommand):
    help = "Back up the database, the files and the keys into a new folder, while the site runs."
    # Cron mails any output, and warnings of checks would be output.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that does not exist yet")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with ended_by_signals():
                made = making.make(options["folder"])
        except BackupError as error:
            raise CommandError(str(error)) from error
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{options['folder']}: database, {len(made.below('files'))} files, {len(made.below('keys'))} keys; "
                f"{copies.megabytes(made.size)}. Keep it as safe as the site itself."
            )
            if made.key_is_elsewhere:
                self.stdout.write("SECRET_KEY comes from the environment and is not in it: keep that yourself.")


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise SystemExit, so that cleanup runs as after Ctrl+C."""

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

"""Restore the site from a backup."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.backups import BackupError, restoring
from apps.core.management.commands.backup import ended_by_signals

QUESTION = """There are people in this site's database, or it cannot be read. All that is in it will be gone, and
what the backup holds will be there. Type "restore" to go on: """


class Command(BaseCommand):
    help = "Put the database, files and keys of a backup in the place of the site's, which must not be running."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="what `manage.py backup` made")
        parser.add_argument("--yes", action="store_true", help="do not ask, even if the site has people")
        parser.add_argument("--force", action="store_true", help="even while others are connected to PostgreSQL")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with ended_by_signals():
                told = restoring.restore(
                    options["folder"], confirm=lambda: options["yes"] or agreed(), force=options["force"]
                )
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The site is restored. Start it.")
        for line in told:
            self.stdout.write(line)


def agreed() -> bool:
    """Ask the operator to confirm; raises BackupError without a terminal."""
    if not sys.stdin.isatty():
        raise BackupError("There are people in this site's database. To replace it, add --yes. Nothing was changed.")
    return input(QUESTION).strip() == "restore"

"""Restoring a backup, completely or not at all."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError, ProgrammingError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from apps.core import running
from apps.core.backups import NO_ANSWER, BackupError, complaint, copies, manifest, postgres, sqlite
from apps.core.backups.making import SPARE_BYTES, STAGE, places_of_its_own
from apps.core.signals import restored

FRESH_FILES, OLD_FILES = STAGE / "files", STAGE / "old-files"


def restore(folder: Path, *, confirm: Callable[[], bool], force: bool) -> list[str]:
    """
    Replace the site with the backup in this folder; return notes for the operator.

    Everything is read and staged before anything is touched. If killed before that, the site is unchanged; if killed
    after, the site won't start until the restore is run again. Raises BackupError.
    """
    folder = folder.absolute()
    if any(folder.resolve().is_relative_to(place) for place in places_of_its_own()):
        raise BackupError(f"{folder} lies among the files that would be replaced. Move it elsewhere first.")
    found = manifest.read(folder)
    refuse_foreign(found)
    try:
        with running.alone():
            manifest.check(folder, found)
            if is_inhabited() and not confirm():
                raise BackupError("Nothing was changed.")
            if connection.vendor == "postgresql" and not force:
                postgres.refuse_others()
            with copies.private():
                told = replace_site(folder, found)
    except running.BusyError:
        raise BackupError("The site is running, or being restored. Stop it first. Nothing was changed.") from None
    except OSError as error:
        raise BackupError(f"That failed: {error}. {state_of_the_site()}") from error
    except NO_ANSWER as error:
        raise BackupError(f"{complaint(error)} {state_of_the_site()}") from error
    return told + key_notes(found)


def state_of_the_site() -> str:
    """Describe the state of the site after a failed restore."""
    return "The site is incomplete; run this again." if running.UNFINISHED.exists() else "Nothing was changed."


def refuse_foreign(found: manifest.Manifest) -> None:
    """Raise BackupError if the backup is of another kind of database or of a newer version."""
    if found.database != connection.vendor:
        names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
        raise BackupError(
            f"The backup is of {names[found.database]}, and the site uses {names[connection.vendor]}. "
            "Set DATABASE_URL to a database of the backup's kind."
        )
    loader = MigrationLoader(None, ignore_no_migrations=True)
    known = {f"{app}.{name}" for app, name in loader.disk_migrations}
    known |= {f"{app}.{name}" for one in loader.disk_migrations.values() for app, name in one.replaces}
    if unknown := [one for one in found.migrations if one not in known]:
        raise BackupError(
            f"The backup is of a newer version of Parley (it has {unknown[0]}). Update Parley first, then restore."
        )


def is_inhabited() -> bool:
    """Return whether the database has users, or can't be read."""
    try:
        return get_user_model().objects.exists()
    except ProgrammingError:  # "no such table" in PostgreSQL
        return False
    except DatabaseError as error:
        return "no such table" not in str(error)
    finally:
        connection.close()


def replace_site(folder: Path, found: manifest.Manifest) -> list[str]:
    """Stage everything, then put it in place; return notes for the operator."""
    clear_stage()
    copies.refuse_without_room(settings.DATA_DIR, found.size + SPARE_BYTES)
    if os.path.ismount(settings.MEDIA_ROOT) or Path(settings.MEDIA_ROOT).is_symlink():
        raise BackupError(
            f"{settings.MEDIA_ROOT} is a disk of its own or a link and cannot be replaced. Mount DATA_DIR instead."
        )
    STAGE.mkdir()
    try:
        for name in found.below("files"):
            take(folder, name, STAGE / name, found)
        for name in found.below("keys"):
            take(folder, name, STAGE / name, found)
        if connection.vendor == "sqlite":
            with fresh_sqlite(folder, found) as (fresh, told):
                sqlite.free(sqlite.file())
                note_unfinished(folder)
                replace_files()
                sqlite.replace(sqlite.file(), fresh)
                copies.settle(sqlite.file().parent)
        else:
            dumped = manifest.DATABASES[found.database]
            take(folder, dumped, STAGE / dumped, found)
            postgres.load(STAGE / dumped, found.written_by, lambda: note_unfinished(folder))
            told = bring_up_to_date()
            replace_files()
        replace_keys(found)
    finally:
        clear_stage()
    running.UNFINISHED.unlink(missing_ok=True)
    copies.settle(settings.DATA_DIR)
    return told


@contextmanager
def fresh_sqlite(folder: Path, found: manifest.Manifest) -> Iterator[tuple[Path, list[str]]]:
    """Prepare the backup's database next to the site's, ready to replace it; yield it and notes for the operator."""
    name = manifest.DATABASES[found.database]
    database = sqlite.file()
    fresh = sqlite.beside(database, ".restoring")
    sqlite.clear_away(fresh)
    copies.refuse_without_room(database.parent, 2 * found.files[name].size + SPARE_BYTES)
    try:
        take(folder, name, fresh, found)
        sqlite.refuse_damaged(fresh)
        sqlite.use(fresh)
        try:
            told = bring_up_to_date()
        finally:
            sqlite.use(database)
        sqlite.close_up(fresh)
        copies.give_to_owner(fresh)
        copies.settle(fresh)
        yield fresh, told
    finally:
        sqlite.clear_away(fresh)


def take(folder: Path, name: str, target: Path, found: manifest.Manifest) -> None:
    """Copy a file out of the backup. Raises BackupError if it has changed since it was checked."""
    if copies.copy(folder / name, target) != found.files[name]:
        raise BackupError(f"{folder / name} changes while it is read. Nothing was changed.")
    copies.give_to_owner(target)


def bring_up_to_date() -> list[str]:
    """Migrate the database and let each app make sure that nothing is repeated; return notes for the operator."""
    call_command("migrate", verbosity=0, interactive=False)
    with transaction.atomic():
        answers = restored.send(sender=None)
    connection.close()
    return [answer for _receiver, answer in answers if answer]


def replace_files() -> None:
    """Replace the site's files with the backup's."""
    there = Path(settings.MEDIA_ROOT)
    if there.exists():
        there.rename(OLD_FILES)
    if FRESH_FILES.exists():
        for parent, _folders, _names in os.walk(FRESH_FILES):
            copies.give_to_owner(Path(parent))
            copies.settle(Path(parent))
        FRESH_FILES.rename(there)


def replace_keys(found: manifest.Manifest) -> None:
    """Replace the site's keys with the backup's, keeping keys that the backup doesn't have."""
    by_name = {file.name: file for file in settings.KEY_FILES}
    for name in found.below("keys"):
        fresh = STAGE / name
        if fresh.name in by_name:
            fresh.replace(by_name[fresh.name])


def note_unfinished(folder: Path) -> None:
    """Mark the site as half restored, so that it can't start."""
    again = f"python manage.py restore {shlex.quote(str(folder))}"
    copies.write(running.UNFINISHED, f"A restore broke off, and the site is incomplete. Finish it: {again}\n")
    copies.give_to_owner(running.UNFINISHED)


def clear_stage() -> None:
    """Delete the staged files and the ones that were replaced."""
    shutil.rmtree(STAGE, ignore_errors=True)


def key_notes(found: manifest.Manifest) -> list[str]:
    """Return notes for the operator about the site's secret key."""
    has_key = "keys/secret_key" in found.files
    if settings.SECRET_KEY_IS_GIVEN and has_key and not found.key_is_elsewhere:
        return ["SECRET_KEY is set in the environment, so the key of the backup is not used."]
    if found.key_is_elsewhere and not settings.SECRET_KEY_IS_GIVEN:
        return ["The backed-up site had its SECRET_KEY in the environment. Set it there again."]
    return []

"""Make a backup while the site runs."""

import os
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.core import running
from apps.core.backups import NO_ANSWER, BackupError, complaint, copies, manifest, postgres, sqlite

SPARE_BYTES = 10_000_000  # free disk space to leave over
# Where a restore stages its files: on the disk of those that it replaces, so a rename suffices.
STAGE = settings.DATA_DIR / "restoring"


def make(folder: Path) -> manifest.Manifest:
    """
    Back up the site into a folder that is empty or does not exist yet.

    The folder gets its name once it is complete. The database is copied first: files that it refers to are still there
    when they are copied, unless deleted since.
    """
    folder = folder.absolute()
    if running.UNFINISHED.exists():
        # A restore did not finish: the site is a mix of two states.
        raise BackupError(running.UNFINISHED.read_text().strip())
    refuse_taken(folder)
    kept = list(copies.files_under(settings.MEDIA_ROOT)) + own_keys()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        needed = database_size() + sum(size_of(file) for file in kept)
        copies.refuse_without_room(folder.parent, needed + SPARE_BYTES)
        growing = Path(tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent))
        try:
            with copies.private():
                made = fill(growing)
            growing.rename(folder)
        except BaseException:
            shutil.rmtree(growing, ignore_errors=True)
            raise
        copies.settle(folder.parent)
    except OSError as error:
        raise BackupError(f"{folder} was not made: {error}.") from error
    except NO_ANSWER as error:
        raise BackupError(complaint(error)) from error
    return made


def refuse_taken(folder: Path) -> None:
    """Raise BackupError if the folder is taken, or if it lies inside what gets backed up or replaced."""
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise BackupError(f"{folder} is there already. Name a folder that is not: a backup never overwrites another.")
    if any(folder.resolve().is_relative_to(place) for place in places_of_its_own()):
        raise BackupError(f"{folder} lies among the site's own files. Name a folder elsewhere.")


def places_of_its_own() -> list[Path]:
    """Return the folders where no backup may be: the next would include it, or a restore would delete it."""
    return [Path(settings.MEDIA_ROOT).resolve(), STAGE.resolve()]


def fill(folder: Path) -> manifest.Manifest:
    """Copy everything into the folder and return the manifest."""
    name = manifest.DATABASES[connection.vendor]
    if connection.vendor == "sqlite":
        sqlite.dump(folder / name)
        written_by, migrations = 0, sqlite.migrations(folder / name)
    else:
        migrations = postgres.migrations()
        written_by = postgres.dump(folder / name)
    copies.settle(folder / name)
    files = {name: copies.sum_of(folder / name)}
    for file in copies.files_under(settings.MEDIA_ROOT):
        name = f"files/{file.relative_to(settings.MEDIA_ROOT).as_posix()}"
        try:
            files[name] = copies.copy(file, folder / name)
        except FileNotFoundError:
            continue  # deleted since it was listed
    for file in own_keys():
        files[f"keys/{file.name}"] = copies.copy(file, folder / "keys" / file.name)
    made = manifest.Manifest(
        made_at=timezone.now().isoformat(timespec="seconds"),
        database=connection.vendor,
        written_by=written_by,
        migrations=migrations,
        key_is_elsewhere=settings.SECRET_KEY_IS_GIVEN,
        files=files,
    )
    copies.write(folder / manifest.NAME, made.as_json())
    for parent, _folders, _names in os.walk(folder):
        copies.settle(Path(parent))
    return made


def database_size() -> int:
    """Return an upper bound for the size of the database copy, in bytes."""
    return sqlite.size() if connection.vendor == "sqlite" else postgres.size()


def own_keys() -> list[Path]:
    """Return the key files that the site generated and that exist."""
    return [file for file in settings.KEY_FILES if file.exists()]


def size_of(file: Path) -> int:
    """Return the file's size; 0 if it has just been deleted."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

"""Making a backup while the site runs."""

import os
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.core import running
from apps.core.backups import NO_ANSWER, BackupError, complaint, copies, manifest, postgres, sqlite

SPARE_BYTES = 10_000_000  # that a disk should have left
# Where a restore makes its files ready: beside what they will replace, so that a rename does it.
STAGE = settings.DATA_DIR / "restoring"


def make(folder: Path) -> manifest.Manifest:
    """
    Back up the site into a folder that does not exist yet, or is empty.

    It appears under its name when it is whole. The database comes first: each file that it knows of is there when
    the files' turn comes, unless its owner has deleted it since.
    """
    folder = folder.absolute()
    if running.UNFINISHED.exists():
        # Half of the site is of another day.
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
    """Raise BackupError where something is already there, or where the next backup would hold this one."""
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise BackupError(f"{folder} is there already. Name a folder that is not: a backup never overwrites another.")
    if any(folder.resolve().is_relative_to(place) for place in places_of_its_own()):
        raise BackupError(f"{folder} lies among the site's own files. Name a folder elsewhere.")


def places_of_its_own() -> list[Path]:
    """Where no backup may lie: the next one would hold it, or a restore would delete it."""
    return [Path(settings.MEDIA_ROOT).resolve(), STAGE.resolve()]


def fill(folder: Path) -> manifest.Manifest:
    """Copy everything into this folder."""
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
            continue  # deleted meanwhile
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
    """How many bytes the database takes at most."""
    return sqlite.size() if connection.vendor == "sqlite" else postgres.size()


def own_keys() -> list[Path]:
    """The files of the secrets that the site made for itself."""
    return [file for file in settings.KEY_FILES if file.exists()]


def size_of(file: Path) -> int:
    """The file's size; 0 for one that has just gone."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

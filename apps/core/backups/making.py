"""Making a backup while the site runs."""

import os
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.core.backups import NO_ANSWER, BackupError, complaint, copies, manifest, postgres, sqlite

SPARE = 10_000_000  # bytes that a disk should have left


def make(folder: Path) -> manifest.Manifest:
    """
    Back up the site into a folder that does not exist yet, or is empty.

    It appears under its name when it is whole. The database comes first: each file that it knows of is there when
    the files' turn comes, unless its owner has deleted it since.
    """
    folder = folder.absolute()
    refuse_taken(folder)
    kept = list(copies.files_under(settings.MEDIA_ROOT)) + own_keys()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        needed = database_size() + sum(size_of(file) for file in kept)
        copies.refuse_without_room(folder.parent, needed + SPARE)
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
    if folder.resolve().is_relative_to(Path(settings.MEDIA_ROOT).resolve()):
        raise BackupError(f"{folder} lies among the site's files, which are backed up. Name a folder elsewhere.")


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

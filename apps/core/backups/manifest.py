"""The list of a backup's contents, and checking the backup against it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from apps.core.backups import BackupError
from apps.core.backups.copies import Sum, sum_of

NAME = "manifest.json"
FORMAT = 1
DATABASES = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}


@dataclass(frozen=True)
class Manifest:
    """What a backup contains."""

    made_at: str
    database: str
    # Major version of the pg_dump that wrote it; 0 for SQLite.
    written_by: int
    migrations: list[str]
    # Whether SECRET_KEY came from the environment and so is not in the backup.
    key_is_elsewhere: bool
    files: dict[str, Sum]

    def as_json(self) -> str:
        """Return the text of the manifest file."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1, ensure_ascii=False)

    @property
    def size(self) -> int:
        """Return the backup's size in bytes."""
        return sum(one.size for one in self.files.values())

    def below(self, folder: str) -> list[str]:
        """Return the names of the files in one of the backup's folders."""
        return [name for name in self.files if name.startswith(f"{folder}/")]


def read(folder: Path) -> Manifest:
    """Return the manifest of the backup in this folder. Raises BackupError if it is missing or can't be trusted."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
        kind = found["format"]
    except OSError:
        raise BackupError(f"{folder} holds no backup: {NAME} cannot be read.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackupError(f"{folder / NAME} is damaged. Take another backup.") from None
    if kind != FORMAT:
        raise BackupError(f"The backup has format {kind}, which this version of Parley does not know. Update it first.")
    try:
        manifest = parsed(found)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise BackupError(f"{folder / NAME} is damaged. Take another backup.") from None
    for name in manifest.files:
        if not is_ours(name, manifest.database):
            raise BackupError(f"The backup names a file that none of ours has: {name!r}. Do not trust it.")
    return manifest


def parsed(found: dict[str, Any]) -> Manifest:
    """Build a Manifest from JSON. Raises ValueError, KeyError, TypeError or AttributeError if it is invalid."""
    files = {str(name): Sum(int(one["size"]), str(one["sha256"])) for name, one in found["files"].items()}
    if DATABASES[found["database"]] not in files:
        raise ValueError
    return Manifest(
        made_at=str(found["made_at"]),
        database=found["database"],
        written_by=int(found["written_by"]),
        migrations=[str(one) for one in found["migrations"]],
        key_is_elsewhere=bool(found["key_is_elsewhere"]),
        files=files,
    )


def is_ours(name: str, database: str) -> bool:
    """Return whether our backups may contain a file of this name; none may lead outside the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or path.as_posix() != name:
        return False
    if len(path.parts) == 1:
        return name == DATABASES[database]
    return path.parts[0] == "files" or (path.parts[0] == "keys" and len(path.parts) == 2)


def check(folder: Path, manifest: Manifest) -> None:
    """Read every file. Raises BackupError for the first that does not match the manifest."""
    for name, expected in manifest.files.items():
        file = folder / name
        try:
            found = None if leads_away(folder, name) else sum_of(file)
        except OSError:
            found = None
        if found != expected:
            problem = "is missing or no file" if found is None else "is not as it was written"
            raise BackupError(f"{file} {problem}. Nothing was changed. Take another backup.")


def leads_away(folder: Path, name: str) -> bool:
    """Return whether any folder in the file's path is a symlink."""
    return any((folder / parent).is_symlink() for parent in PurePosixPath(name).parents)

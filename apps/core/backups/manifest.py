"""What a backup says of itself, and whether it is true."""

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
    """The table of contents."""

    made_at: str
    database: str
    # The version of PostgreSQL's programs that wrote the dump; 0 for SQLite.
    written_by: int
    migrations: list[str]
    # Whether the site's secret key stood in the environment, and so is not in here.
    key_is_elsewhere: bool
    files: dict[str, Sum]

    def as_json(self) -> str:
        """As it stands in the folder."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1, ensure_ascii=False)

    @property
    def size(self) -> int:
        """How many bytes the backup has."""
        return sum(one.size for one in self.files.values())

    def below(self, folder: str) -> list[str]:
        """The names of the files in one of its folders."""
        return [name for name in self.files if name.startswith(f"{folder}/")]


def read(folder: Path) -> Manifest:
    """The table of contents of the backup in this folder. Raises BackupError where there is none to trust."""
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
    """From JSON. Raises ValueError, KeyError, TypeError or AttributeError for what is no manifest."""
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
    """Whether a backup of ours could hold a file of this name: none that leads out of its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or path.as_posix() != name:
        return False
    if len(path.parts) == 1:
        return name == DATABASES[database]
    return path.parts[0] == "files" or (path.parts[0] == "keys" and len(path.parts) == 2)


def check(folder: Path, manifest: Manifest) -> None:
    """Read every file. Raises BackupError for the first that is not as the manifest says."""
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
    """Whether a link stands for one of the folders on the way to this file."""
    return any((folder / parent).is_symlink() for parent in PurePosixPath(name).parents)

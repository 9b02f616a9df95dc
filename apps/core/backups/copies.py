"""Durable file copies: hashed while copying, synced to disk, readable only by their owner."""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.core.backups import BackupError

PIECE_BYTES = 1024 * 1024  # per read


@dataclass(frozen=True)
class Sum:
    """A file's size and checksum."""

    size: int
    sha256: str


@contextmanager
def private() -> Iterator[None]:
    """Create files in this context for their owner only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def pieces(file: Path) -> Iterator[bytes]:
    """Yield the bytes of a regular file. Raises OSError for symlinks and anything else."""
    # O_NONBLOCK: opening a pipe would block forever.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(file))
        while piece := source.read(PIECE_BYTES):
            yield piece


def sum_of(file: Path) -> Sum:
    """Read the file and return its size and checksum."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces(file):
        digest.update(piece)
        size += len(piece)
    return Sum(size, digest.hexdigest())


def copy(source: Path, target: Path) -> Sum:
    """Copy to a file that must not exist yet; return the size and checksum of what was written."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        for piece in pieces(source):
            digest.update(piece)
            size += len(piece)
            written.write(piece)
        written.flush()
        os.fsync(written.fileno())
    return Sum(size, digest.hexdigest())


def write(file: Path, text: str) -> None:
    """Replace the file atomically: it is there in full or not at all."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
    fresh.replace(file)
    settle(file.parent)


def give_to_owner(path: Path) -> None:
    """Give the path to the user that the site runs as (the owner of DATA_DIR) if root created it."""
    if os.geteuid() == 0:
        owner = settings.DATA_DIR.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def settle(path: Path) -> None:
    """Sync a file's contents, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_under(folder: Path) -> Iterator[Path]:
    """Yield all regular files at any depth, without following links."""
    for parent, _folders, names in os.walk(folder):
        for name in sorted(names):
            file = Path(parent, name)
            if file.is_file() and not file.is_symlink():
                yield file


def refuse_without_room(folder: Path, needed: int) -> None:
    """Raise BackupError if the folder's disk has less than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(f"{folder} has {megabytes(free)} left, and {megabytes(needed)} are needed. Make room first.")


def megabytes(size: int) -> str:
    """Format a size for people."""
    return f"{size / 1_000_000:,.1f} MB"

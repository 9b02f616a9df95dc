"""Copies of files that can be relied on: hashed as they go, on the disk when done, readable by their owner only."""

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

PIECE_BYTES = 1024 * 1024  # in memory at a time


@dataclass(frozen=True)
class Sum:
    """What a file's bytes come to."""

    size: int
    sha256: str


@contextmanager
def private() -> Iterator[None]:
    """Whatever is made meanwhile is for its owner only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def pieces(file: Path) -> Iterator[bytes]:
    """The bytes of a regular file. Raises OSError for a link, wherever it leads, and for what is no file."""
    # Without waiting: a pipe would make it wait for ever.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(file))
        while piece := source.read(PIECE_BYTES):
            yield piece


def sum_of(file: Path) -> Sum:
    """Read the file and add it up."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces(file):
        digest.update(piece)
        size += len(piece)
    return Sum(size, digest.hexdigest())


def copy(source: Path, target: Path) -> Sum:
    """Copy to a file that must not be there yet; gives the sum of what was written."""
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
    """Write a file anew, so that it is there in whole or not at all."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
    fresh.replace(file)
    settle(file.parent)


def give_to_owner(path: Path) -> None:
    """What root makes must belong to whom the site runs as: the owner of its data."""
    if os.geteuid() == 0:
        owner = settings.DATA_DIR.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def settle(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_under(folder: Path) -> Iterator[Path]:
    """All regular files, at any depth; links are not followed."""
    for parent, _folders, names in os.walk(folder):
        for name in sorted(names):
            file = Path(parent, name)
            if file.is_file() and not file.is_symlink():
                yield file


def refuse_without_room(folder: Path, needed: int) -> None:
    """Raise BackupError where the disk of this folder has less than `needed` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(f"{folder} has {megabytes(free)} left, and {megabytes(needed)} are needed. Make room first.")


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1_000_000:,.1f} MB"

"""Making backups, and what a restore refuses before it changes anything."""

import fcntl
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from apps.core import running
from apps.core.backups import BackupError, copies, making, manifest, postgres, restoring, sqlite

pytestmark = pytest.mark.django_db
SUM = "0" * 64


@pytest.fixture(autouse=True)
def _own_folders(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own files and keys, not the developer's."""
    if connection.vendor != "sqlite":
        pytest.skip("SQLite only")
    data = tmp_path / "data"
    data.mkdir()
    settings.DATA_DIR = data
    settings.MEDIA_ROOT = data / "media"
    settings.KEY_FILES = [data / "secret_key"]
    monkeypatch.setattr(running, "LOCK", data / "running.lock")
    monkeypatch.setattr(running, "UNFINISHED", data / "restoring.txt")
    for module in (making, restoring):
        monkeypatch.setattr(module, "STAGE", data / "restoring")
    (data / "media").mkdir()
    (data / "media" / "minutes.txt").write_text("minutes")
    (data / "secret_key").write_text("secret")


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A finished backup."""
    folder = tmp_path / "backups" / "first"
    making.make(folder)
    return folder


def change(folder: Path, **fields: Any) -> None:
    """Change fields of a backup's manifest."""
    file = folder / manifest.NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def refusal(folder: Path) -> str:
    """The reason why restoring this backup is refused."""
    with pytest.raises(BackupError) as refused:
        restoring.restore(folder, confirm=lambda: True, force=False)
    return str(refused.value)


def test_a_backup_is_readable_by_its_owner_only(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o700
    within = list(backup.rglob("*"))
    assert {file.stat().st_mode & 0o777 for file in within if file.is_file()} == {0o600}
    assert {folder.stat().st_mode & 0o777 for folder in within if folder.is_dir()} == {0o700}


def test_a_backup_lists_what_is_in_it(backup: Path) -> None:
    found = manifest.read(backup)
    assert set(found.files) == {"database.sqlite3", "files/minutes.txt", "keys/secret_key"}
    assert found.files["files/minutes.txt"] == copies.sum_of(backup / "files" / "minutes.txt")
    assert "accounts.0001_initial" in found.migrations
    assert found.database == "sqlite"


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "letter").write_text("mine")
    with pytest.raises(CommandError, match=r"is there already\. Name a folder that is not"):
        call_command("backup", str(tmp_path / "there"))
    assert (tmp_path / "there" / "letter").read_text() == "mine"


def test_a_backup_may_go_into_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    making.make(tmp_path / "empty")
    assert manifest.read(tmp_path / "empty")


def test_a_backup_cannot_go_among_the_files_it_backs_up(settings: Settings) -> None:
    with pytest.raises(BackupError, match="lies among the site's own files"):
        making.make(Path(settings.MEDIA_ROOT) / "backup")


def test_a_link_among_the_files_is_not_followed(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("not ours")
    (Path(settings.MEDIA_ROOT) / "link").symlink_to(tmp_path / "private")
    making.make(tmp_path / "backup")
    assert not (tmp_path / "backup" / "files" / "link").exists()


def test_a_file_deleted_during_the_backup_is_left_out(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Path(settings.MEDIA_ROOT) / "gone.txt"
    monkeypatch.setattr(copies, "files_under", lambda folder: iter([gone, Path(folder) / "minutes.txt"]))
    making.make(tmp_path / "backup")
    assert manifest.read(tmp_path / "backup").below("files") == ["files/minutes.txt"]


def test_the_database_is_copied_before_its_files(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = sqlite.dump

    def dump_while_files_come(target: Path) -> None:
        (Path(settings.MEDIA_ROOT) / "just_sent.txt").write_text("known to the database")
        dump(target)

    monkeypatch.setattr(sqlite, "dump", dump_while_files_come)
    making.make(tmp_path / "backup")
    assert "files/just_sent.txt" in manifest.read(tmp_path / "backup").files


def test_a_full_disk_is_reported_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(100, 90, 10))
    with pytest.raises(BackupError, match=r"has 0\.0 MB left, and [\d.]+ MB are needed"):
        making.make(tmp_path / "backups" / "first")
    assert list((tmp_path / "backups").iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), OSError(28, "No space left on device")])
def test_an_interrupted_backup_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(copies, "write", fail)
    with pytest.raises((KeyboardInterrupt, SystemExit, BackupError)):
        making.make(tmp_path / "backups" / "first")
    assert list((tmp_path / "backups").iterdir()) == []


def test_the_second_of_two_backups_to_one_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "backups" / "first"
    fill = making.fill

    def fill_twice(growing: Path) -> manifest.Manifest:
        monkeypatch.setattr(making, "fill", fill)
        making.make(folder)
        return fill(growing)

    monkeypatch.setattr(making, "fill", fill_twice)
    with pytest.raises(BackupError, match="was not made"):
        making.make(folder)
    assert [one.name for one in folder.parent.iterdir()] == ["first"]
    manifest.check(folder, manifest.read(folder))


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "files/../../escaped",
        "/etc/escaped",
        "files//escaped",
        "files/./escaped",
        "files/a\0b",
        "keys/deep/escaped",
        "other/escaped",
        "database.dump",
        "manifest.json",
        "",
    ],
)
def test_a_manifest_with_paths_outside_the_backup_is_refused(backup: Path, name: str) -> None:
    files = json.loads((backup / manifest.NAME).read_text())["files"]
    change(backup, files=files | {name: {"size": 0, "sha256": SUM}})
    assert "names a file that none of ours has" in refusal(backup)


def test_a_backup_among_the_files_it_would_replace_is_refused(backup: Path, settings: Settings) -> None:
    inside = Path(settings.MEDIA_ROOT) / "backup"
    shutil.copytree(backup, inside)
    assert "lies among the files that would be replaced" in refusal(inside)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 1}', '{"format": 1, "files": {}, "database": "sqlite"}', "\udcff"]
)
def test_an_invalid_manifest_is_refused(backup: Path, text: str) -> None:
    (backup / manifest.NAME).write_bytes(text.encode(errors="surrogateescape"))
    assert "is damaged" in refusal(backup)


def test_a_folder_without_a_manifest_is_not_a_backup(tmp_path: Path) -> None:
    assert "holds no backup" in refusal(tmp_path)


def test_a_later_format_is_refused(backup: Path) -> None:
    change(backup, format=2)
    assert "has format 2, which this version of Parley does not know" in refusal(backup)


def test_a_backup_of_a_newer_version_is_refused(backup: Path) -> None:
    change(backup, migrations=["accounts.0001_initial", "accounts.9999_later"])
    assert "newer version of Parley (it has accounts.9999_later)" in refusal(backup)


def test_a_backup_of_another_kind_of_database_is_refused(backup: Path) -> None:
    files = {"database.dump": {"size": 0, "sha256": SUM}}
    change(backup, database="postgresql", files=files)
    assert "is of PostgreSQL, and the site uses SQLite" in refusal(backup)


@pytest.mark.parametrize("name", ["database.sqlite3", "files/minutes.txt", "keys/secret_key"])
def test_one_changed_byte_is_refused(backup: Path, name: str) -> None:
    data = bytearray((backup / name).read_bytes())
    data[len(data) // 2] ^= 1
    (backup / name).write_bytes(data)
    assert f"{backup / name} is not as it was written. Nothing was changed." in refusal(backup)


def test_a_link_in_place_of_a_file_is_refused(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("minutes")
    (backup / "files" / "minutes.txt").unlink()
    (backup / "files" / "minutes.txt").symlink_to(tmp_path / "elsewhere")
    assert "is missing or no file" in refusal(backup)


def test_a_link_in_place_of_a_folder_is_refused(backup: Path, tmp_path: Path) -> None:
    (backup / "files").rename(tmp_path / "elsewhere")
    (backup / "files").symlink_to(tmp_path / "elsewhere")
    assert "is missing or no file" in refusal(backup)


def test_a_running_site_cannot_be_restored(backup: Path) -> None:
    descriptor = running.taken(fcntl.LOCK_SH)
    with pytest.raises(BackupError, match="Stop it first"):
        restoring.restore(backup, confirm=lambda: True, force=True)
    os.close(descriptor)


def test_a_site_does_not_start_while_it_is_being_restored() -> None:
    with running.alone(), pytest.raises(SystemExit, match="Start it when that is done"):
        running.serve()


def test_a_site_does_not_start_half_restored(backup: Path) -> None:
    restoring.note_unfinished(backup)
    with pytest.raises(SystemExit, match=f"Finish it: python manage.py restore {backup}"):
        running.serve()


def test_the_oldest_suitable_program_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {14: Path("/14/pg_dump"), 16: Path("/16/pg_dump"), 18: Path("/18/pg_dump")}
    monkeypatch.setattr(postgres, "versions", lambda name: there)
    assert postgres.program("pg_dump", 15) == (Path("/16/pg_dump"), 16)
    assert postgres.program("pg_dump", 16) == (Path("/16/pg_dump"), 16)


@pytest.mark.parametrize(("there", "found"), [({}, "not"), ({14: Path("/14/pg_dump")}, "only of version 14")])
def test_a_program_that_is_too_old_is_reported_with_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, there: dict[int, Path], found: str
) -> None:
    monkeypatch.setattr(postgres, "versions", lambda name: there)
    with pytest.raises(BackupError, match=rf"pg_dump is installed {found}; .* apt install postgresql-client-17\)"):
        postgres.program("pg_dump", 17)


def test_passwords_are_not_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = {"host": "db.example.org", "dbname": "parley", "user": "site", "password": "s3cr3t"}
    monkeypatch.setattr(postgres, "parameters", lambda: dict(reached))
    started = postgres.command(Path("/usr/bin/pg_dump"), "--format=custom")
    assert "s3cr3t" not in " ".join(started["args"])
    assert started["env"]["PGPASSWORD"] == "s3cr3t"
    assert "host=db.example.org" in started["args"][-1]


def test_a_backup_cannot_go_where_a_restore_stages_its_files(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="own files"):
        making.make(settings.DATA_DIR / "restoring" / "first")


def test_a_backup_where_a_restore_stages_its_files_is_refused(backup: Path, settings: Settings) -> None:
    shutil.copytree(backup, settings.DATA_DIR / "restoring")
    assert "would be replaced" in refusal(settings.DATA_DIR / "restoring")
    assert (settings.DATA_DIR / "restoring" / manifest.NAME).exists()


def test_a_half_restored_site_cannot_be_backed_up(tmp_path: Path) -> None:
    running.UNFINISHED.write_text("Run it again.")
    with pytest.raises(BackupError, match="Run it again"):
        making.make(tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_files_behind_a_link_are_not_replaced(backup: Path, settings: Settings, tmp_path: Path) -> None:
    Path(settings.MEDIA_ROOT).rename(tmp_path / "elsewhere")
    Path(settings.MEDIA_ROOT).symlink_to(tmp_path / "elsewhere")
    assert "a link" in refusal(backup)
    assert (tmp_path / "elsewhere" / "minutes.txt").read_text() == "minutes"


def test_a_pipe_in_place_of_a_file_is_refused_without_waiting(backup: Path) -> None:
    (backup / "files" / "minutes.txt").unlink()
    os.mkfifo(backup / "files" / "minutes.txt")
    assert "minutes.txt is missing or no file" in refusal(backup)


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"format": 1, "database": "sqlite", "files": {"a": {"size": Infinity}}}']
)
def test_an_unreadable_manifest_counts_as_damaged(backup: Path, text: str) -> None:
    (backup / manifest.NAME).write_text(text)
    assert "damaged" in refusal(backup)

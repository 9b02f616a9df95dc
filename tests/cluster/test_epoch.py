"""The marks by which a database differs from another, or from an earlier state restored in its place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from apps.core import epoch

pytestmark = pytest.mark.django_db
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL only")
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite only")


@pytest.fixture(autouse=True)
def _unknown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(epoch.State, "epoch", "")
    yield


def test_looking_twice_at_one_database_finds_no_change() -> None:
    assert [epoch.look(), epoch.look()] == [False, False]
    assert len(epoch.State.epoch) == 16


@on_postgresql
def test_recreated_tables_are_another_epoch() -> None:
    epoch.look()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_process RENAME TO former; CREATE TABLE core_process AS TABLE former")
    assert [epoch.look(), epoch.look()] == [True, False]


@on_postgresql
def test_the_servers_identifier_and_timeline_are_among_the_marks() -> None:
    database, table, server, timeline = epoch.marks()
    assert timeline == "00000001"
    assert server.isdecimal() and database != table


@on_postgresql
def test_without_permission_to_query_the_server_only_table_marks_count(monkeypatch: pytest.MonkeyPatch) -> None:
    all_marks = epoch.marks()
    monkeypatch.setattr(epoch, "ASKED", "SELECT no_such_function()")
    assert epoch.marks() == all_marks[:2]


@on_postgresql
def test_a_query_that_fails_by_chance_is_not_another_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    epoch.look()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 50")
    monkeypatch.setattr(epoch, "ASKED", "SELECT pg_sleep(1)")
    with pytest.raises(OperationalError):
        epoch.look()


@on_sqlite
def test_another_file_is_another_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = tmp_path / "database", tmp_path / "restored"
    file.touch()
    other.touch()
    monkeypatch.setitem(connection.settings_dict, "NAME", str(file))
    epoch.look()
    file.write_text("written to")
    assert not epoch.look()
    other.replace(file)
    assert [epoch.look(), epoch.look()] == [True, False]

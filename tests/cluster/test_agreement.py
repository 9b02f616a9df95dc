"""Processes that agree on settings and files, and what one that differs reports."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest
from django.conf import settings as site_settings
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from apps.core import cluster, epoch, facts, limits, presence
from apps.core.facts import NOT_COLLECTED
from apps.core.models import Process
from apps.core.signals import replaced, restored

pytestmark = pytest.mark.django_db
ELSEWHERE = "another-machine"


@pytest.fixture(autouse=True)
def _fresh_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(presence, "FOLDER", tmp_path)
    yield
    cluster.State.reason, cluster.State.has_served = "", False


def a_process(other: dict[str, str] | None = None, *, clock: float = 0.0, machine: str = "") -> Process:
    """A process with the same facts as this one, except these."""
    process = cluster.this_process()
    process.facts = facts.own() | (other or {})
    process.clock = clock
    process.machine = machine or process.machine
    return process


def reasons(process: Process) -> list[str]:
    """Why the process is not ready, according to its own comparison with the others."""
    clock = process.clock
    cluster.State.has_served = process.agreed_at is not None
    with patch("apps.core.cluster.ahead_of_database", lambda: clock):
        return [problem.reason for problem in cluster.look(process)[0]]


def silence(process: Process, seconds: float = limits.SILENCE_SECONDS + 1) -> None:
    """Make the process look silent for this long."""
    Process.objects.filter(pk=process.pk).update(beat_at=Now() - timedelta(seconds=seconds))


def test_a_single_process_serves() -> None:
    alone = a_process()
    assert reasons(alone) == []
    assert Process.objects.get().agreed_at == alone.agreed_at is not None


def test_processes_that_agree_all_serve() -> None:
    assert [reasons(a_process()) for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize(("fact", "name"), [("key", "SECRET_KEY"), ("time_zone", "TIME_ZONE"), ("site", "SITE_URL")])
def test_of_two_processes_that_differ_the_later_is_not_ready(fact: str, name: str) -> None:
    first, second = a_process(), a_process({"version": "newer", fact: "another"})
    assert reasons(first) == []
    assert reasons(second) == [f"{name} differs from the other processes'"]
    assert reasons(first) == []


def test_a_process_that_differs_becomes_ready_when_the_other_is_gone() -> None:
    first, second, third = a_process(), a_process({"key": "new"}), a_process({"key": "new"})
    reasons(first)
    assert reasons(second) and reasons(third)
    Process.objects.filter(pk=first.pk).delete()
    assert reasons(second) == reasons(third) == []


def test_a_refused_process_does_not_block_others() -> None:
    first, wrong, right = a_process(), a_process({"key": "wrong"}), a_process()
    assert [bool(reasons(one)) for one in (first, wrong, right)] == [False, True, False]
    # Although it came before the third.
    Process.objects.filter(pk=first.pk).delete()
    assert [bool(reasons(one)) for one in (wrong, right)] == [True, False]


@pytest.mark.parametrize(
    ("fact", "name"), [("languages", "the catalogue of languages"), ("static", "the set of static files")]
)
def test_processes_of_one_version_must_have_the_same_files(fact: str, name: str) -> None:
    first, second = a_process({fact: "some"}), a_process({fact: "others"})
    assert reasons(first) == []
    assert reasons(second) == [f"{name} differs from the other processes'"]


def test_a_new_version_with_its_own_files_serves_beside_the_old_one() -> None:
    old, new = a_process({"static": "old"}), a_process({"version": "new", "static": "new", "languages": "more"})
    assert reasons(old) == reasons(new) == reasons(old) == []


def test_a_process_without_collected_static_files_yields_to_a_later_one() -> None:
    first, second = a_process({"static": NOT_COLLECTED}), a_process({"static": "collected"})
    assert reasons(first) == reasons(second) == []
    assert reasons(first) == ["the set of static files differs from the other processes'"]
    assert reasons(second) == []


def test_a_silent_process_no_longer_counts() -> None:
    dead, living = a_process(), a_process({"key": "new"})
    reasons(dead)
    assert reasons(living)
    silence(dead)
    assert reasons(living) == []


def test_a_process_that_was_silent_ranks_behind_those_that_agreed_since() -> None:
    first, second = a_process(), a_process({"key": "new"})
    reasons(first)
    silence(first)
    assert reasons(second) == []
    assert reasons(first) == ["SECRET_KEY differs from the other processes'"]
    assert reasons(second) == []


def test_a_killed_process_is_detected_by_its_lock_at_once(tmp_path: Path) -> None:
    dead, living = a_process(), a_process({"key": "new"})
    reasons(dead)
    code = f"""
import fcntl, os, sys
fcntl.flock(os.open({str(tmp_path / str(dead.pk))!r}, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"locked\n"
        assert reasons(living)
        holder.kill()
    assert reasons(living) == []
    assert not Process.objects.filter(pk=dead.pk).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_process_holds_its_own_lock(tmp_path: Path) -> None:
    process = a_process()
    presence.hold(process.pk)
    presence.sweep()
    assert not presence.is_gone(process.pk)
    assert [file.name for file in tmp_path.iterdir()] == [str(process.pk)]


@pytest.mark.parametrize("clock", [7200.0, -7200.0])
def test_a_process_whose_clock_is_wrong_is_not_ready(clock: float) -> None:
    right, wrong = a_process(machine=ELSEWHERE), a_process(clock=clock)
    assert reasons(right) == []
    assert reasons(wrong) == ["the clock differs from the database's"]
    assert reasons(right) == []
    wrong.clock = 0.2
    assert reasons(wrong) == []


def test_a_process_whose_clock_drifts_is_no_longer_ready() -> None:
    first, second = a_process(), a_process(machine=ELSEWHERE)
    assert reasons(first) == reasons(second) == []
    first.clock = -11.0
    assert reasons(first) == ["the clock differs from the database's"]


def test_a_single_process_whose_clock_is_wrong_is_not_ready() -> None:
    assert reasons(a_process(clock=60.0)) == ["the clock differs from the database's"]
    assert reasons(a_process(clock=60.0)), "on the same machine, so it proves nothing"


def test_if_several_machines_agree_the_databases_clock_is_wrong() -> None:
    first, second = a_process(clock=60.0), a_process(clock=60.3, machine=ELSEWHERE)
    assert reasons(first)
    assert reasons(second) == reasons(first) == []
    with patch("apps.core.cluster.ahead_of_database", lambda: 60.0):
        assert "database's clock is 60 s behind" in cluster.look(first)[1][0].advice


@pytest.fixture
def newer_migration() -> Iterator[None]:
    """The database has a migration that is not among the files."""
    with patch("apps.core.cluster.MigrationRecorder.applied_migrations", lambda self: {("rooms", "9999_later"): None}):
        yield


@pytest.mark.usefixtures("newer_migration")
def test_a_version_too_old_for_the_database_does_not_start_serving() -> None:
    with patch("apps.core.cluster.ahead_of_database", lambda: 0.0):
        [problem] = cluster.look(a_process())[0]
    assert problem.reason == "a newer version has migrated the database"
    assert "rooms.9999_later" in problem.advice


def test_after_a_newer_version_migrates_the_serving_version_keeps_serving(
    request: pytest.FixtureRequest,
) -> None:
    serving = a_process()
    assert reasons(serving) == []
    request.getfixturevalue("newer_migration")
    assert reasons(serving) == []
    assert reasons(a_process()) == []
    assert reasons(a_process({"version": "another"})) == ["a newer version has migrated the database"]


def test_unknown_migrations_of_third_party_apps_are_ignored() -> None:
    # Some replace theirs with a squashed one, and uninstalled apps leave theirs behind.
    assert facts.unknown_migrations([("account", "0001_gone"), ("nobody", "0001")]) == []
    assert facts.unknown_migrations([("chat", "0001_initial"), ("chat", "0007_later")]) == ["chat.0007_later"]


def test_settings_that_may_change_process_by_process_are_only_reported() -> None:
    first, second = a_process({"signup": "open"}), a_process({"signup": "closed"})
    assert reasons(first) == reasons(second) == []
    with patch("apps.core.cluster.ahead_of_database", lambda: 0.0):
        assert [remark.reason for remark in cluster.look(second)[1]] == ["signup"]


def test_readiness_names_the_differences_and_the_log_gives_advice_once(caplog: pytest.LogCaptureFixture) -> None:
    told: set[facts.Problem] = set()
    reasons(a_process())
    wrong = a_process({"key": "wrong", "time_zone": "Mars"})
    for _ in range(3):
        cluster.tell(*cluster.look(wrong), told)
    answer = Client().get("/readyz")
    text = "SECRET_KEY differs from the other processes'; TIME_ZONE differs from the other processes'\n"
    assert (answer.status_code, answer.content.decode()) == (503, text)
    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 2
    assert "stop all of them first" in lines[0] and str(os.getpid()) in lines[0]
    Process.objects.all().delete()
    cluster.tell(*cluster.look(wrong), told)
    assert Client().get("/readyz").status_code == 200
    assert caplog.records[-1].message == "This process agrees with the others now"


def test_a_lost_row_is_recreated() -> None:
    process = a_process()
    reasons(process)
    Process.objects.all().delete()
    assert reasons(process) == []
    assert Process.objects.get(pk=process.pk).agreed_at == process.agreed_at is not None


def test_rows_of_processes_long_silent_are_deleted() -> None:
    dead = a_process()
    reasons(dead)
    silence(dead)
    reasons(a_process())
    assert not Process.objects.filter(pk=dead.pk).exists()


def test_a_restored_site_does_not_wait_for_earlier_processes() -> None:
    reasons(a_process())
    restored.send(sender=None)
    assert not Process.objects.exists()


def test_the_key_is_not_stored_in_the_database() -> None:
    key = site_settings.SECRET_KEY
    assert facts.fingerprint(key) != facts.fingerprint(f"{key}.") != key
    assert facts.fingerprint(key) == facts.fingerprint(key) == facts.own()["key"]
    assert len(facts.fingerprint(key)) == 32


def test_translations_and_static_file_names_are_compared(settings: Settings, tmp_path: Path) -> None:
    facts.own.cache_clear()
    before = facts.own()
    settings.LOCALE_PATHS = [tmp_path]
    (tmp_path / "django.mo").write_bytes(b"words")
    settings.STATIC_ROOT, settings.STATIC_IS_COLLECTED = tmp_path, True
    facts.manifest().write_text("{}")
    facts.own.cache_clear()
    after = facts.own()
    facts.own.cache_clear()
    assert {name for name in before if before[name] != after[name]} == {"languages", "static"}


def test_a_process_that_has_not_been_compared_yet_is_not_ready() -> None:
    with patch("threading.Thread"), patch("apps.core.shutdown.before_shutdown"):
        cluster.start()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"not compared with the other processes yet\n")


def test_each_comparison_keeps_a_process_alive() -> None:
    process = a_process()
    reasons(process)
    silence(process, seconds=limits.SILENCE_SECONDS - 5)
    reasons(process)
    assert Process.objects.filter(beat_at__gt=Now() - timedelta(seconds=5)).exists()


def test_pages_are_told_of_another_database_after_a_failed_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    ended, looks = Mock(), iter([OperationalError("not yet"), ([], []), ([], [])])
    ended.wait.side_effect = [False, False, False, True]
    found = iter([True, False, False])
    monkeypatch.setattr(epoch, "look", lambda: next(found))
    monkeypatch.setattr(cluster, "look", Mock(side_effect=looks))
    monkeypatch.setattr(cluster, "connections", Mock())
    with patch.object(replaced, "send", lambda **more: told.append(more)):
        cluster.go_on(cluster.this_process(), ended)
    assert len(told) == 1


def test_a_process_ends_in_time_though_the_database_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, goodbyes = threading.Event(), list[Callable[[], Coroutine[Any, Any, None]]]()
    monkeypatch.setattr(cluster, "GOODBYE_SECONDS", 0.1)
    monkeypatch.setattr(cluster, "go_on", lambda me, ended: answered.wait(3))
    monkeypatch.setattr("apps.core.shutdown.before_shutdown", goodbyes.append)
    cluster.start()
    began = time.monotonic()
    # This waits for the loop's threads, as a process does when it ends.
    asyncio.run(goodbyes[0]())
    assert time.monotonic() - began < 1
    answered.set()

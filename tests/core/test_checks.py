"""`manage.py check --deploy` reports misconfigured sites and is silent about well-configured ones."""

import os
import re
import resource
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis as redis_package
from django.core.checks import run_checks
from django.db import OperationalError
from django.db.models import QuerySet
from pytest_django import Settings

from apps.core import checks
from tests import install
from tests.conftest import make_user
from tests.servers import ROOT, Redis

pytestmark = pytest.mark.django_db


def said(*, deploy: bool = True) -> dict[str, str]:
    """Our warnings, by their ids."""
    found = run_checks(include_deployment_checks=deploy)
    return {one.id: f"{one.msg} {one.hint}" for one in found if one.id and one.id.startswith(("parley.", "accounts."))}


@dataclass(frozen=True)
class Site:
    """A stand-in for settings.SITE."""

    is_https: bool


def use(monkeypatch: pytest.MonkeyPatch, vendor: str) -> None:
    """Make the checks see this kind of database."""
    monkeypatch.setattr(checks, "connection", SimpleNamespace(vendor=vendor))


@pytest.fixture(autouse=True)
def _well_set_up(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site without warnings."""
    make_user("ada", role="owner")
    use(monkeypatch, "sqlite")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    monkeypatch.setattr(resource, "getrlimit", lambda what: (4096, 4096))
    settings.REDIS_URL = ""
    settings.SITE = Site(is_https=True)
    settings.TRUSTED_PROXY_COUNT = 1
    settings.SIGNUP = "open"
    settings.SENDS_MAIL = True
    settings.DEFAULT_FROM_EMAIL = "Parley <parley@example.org>"
    tmp_path.chmod(0o700)
    settings.DATA_DIR = tmp_path
    key = tmp_path / "secret_key"
    key.write_text("secret")
    key.chmod(0o600)
    settings.KEY_FILES = [key, tmp_path / "not_made_yet"]


def test_a_well_configured_site_gets_no_warnings() -> None:
    assert said() == {}


def test_warnings_appear_only_with_deploy(settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 0
    assert list(said()) == ["parley.W004"]
    assert said(deploy=False) == {}


def test_a_faulty_sqlite_version_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    assert f"SQLite {sqlite3.sqlite_version} has a rare fault" in said()["parley.W001"]


def test_a_faulty_sqlite_does_not_matter_on_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    use(monkeypatch, "postgresql")
    assert "parley.W001" not in said()


def test_sqlite_is_for_one_process(settings: Settings, redis: Redis) -> None:
    settings.REDIS_URL = redis.url
    assert list(said()) == ["parley.W002"]


def test_processes_on_postgresql_need_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "postgresql")
    assert list(said()) == ["parley.W003"]


def test_processes_on_postgresql_with_redis_get_no_warnings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    use(monkeypatch, "postgresql")
    settings.REDIS_URL = redis.url
    assert said() == {}


def test_a_site_on_https_needs_a_proxy(settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 0
    assert list(said()) == ["parley.W004"]


def test_a_site_on_http_needs_no_proxy(settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 0
    settings.SITE = Site(is_https=False)
    assert said() == {}


def test_open_sign_up_needs_mail(settings: Settings) -> None:
    settings.SENDS_MAIL = False
    assert list(said()) == ["parley.W005"]


@pytest.mark.parametrize("signup", ["invite", "closed"])
def test_a_site_without_open_sign_up_needs_no_mail(settings: Settings, signup: str) -> None:
    settings.SENDS_MAIL = False
    settings.SIGNUP = signup
    assert said() == {}


@pytest.mark.parametrize("sender", ["Parley <parley@localhost>", "parley@[127.0.0.1]", "parley"])
def test_a_sender_without_a_real_domain_is_reported(settings: Settings, sender: str) -> None:
    settings.DEFAULT_FROM_EMAIL = sender
    assert list(said()) == ["parley.W006"]


def test_a_site_without_mail_needs_no_valid_sender(settings: Settings) -> None:
    settings.SENDS_MAIL = False
    settings.SIGNUP = "closed"
    settings.DEFAULT_FROM_EMAIL = "Parley <parley@localhost>"
    assert said() == {}


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o720])
def test_a_data_folder_that_others_can_read_is_reported(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    assert list(said()) == ["parley.W007"]
    assert f"chmod 700 {tmp_path}" in said()["parley.W007"]


def test_a_group_may_read_the_data_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert said() == {}


def test_a_key_that_others_can_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "secret_key").chmod(0o640)
    assert f"chmod 600 {tmp_path / 'secret_key'}" in said()["parley.W008"]


def test_a_redis_that_does_not_answer_is_reported(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "Redis does not answer" in said()["parley.W009"]


def test_a_redis_that_evicts_entries_is_reported(settings: Settings, redis: Redis) -> None:
    settings.REDIS_URL = redis.url
    with redis_client(redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert "(allkeys-lru)" in said()["parley.W010"]
        client.config_set("maxmemory-policy", "noeviction")
        assert "parley.W010" not in said()


def test_a_low_limit_of_open_files_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 1024))
    assert "may have 1024 files and sockets open" in said()["parley.W011"]


def test_an_unlimited_number_of_open_files_gets_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert said() == {}


def test_a_site_that_the_next_to_sign_up_will_own_is_reported(django_user_model: type) -> None:
    django_user_model.objects.all().delete()  # type: ignore[attr-defined]
    assert "Nobody owns the site" in said()["parley.W012"]


def test_a_used_site_without_an_owner_is_reported(django_user_model: type) -> None:
    django_user_model.objects.update(role="member")  # type: ignore[attr-defined]
    assert set(said()) == {"accounts.W001"}


def test_owners_are_not_checked_while_the_database_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: object) -> bool:
        raise OperationalError

    monkeypatch.setattr(QuerySet, "exists", away)
    assert said() == {}


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    if not install.redis_server():
        pytest.skip("Redis is not installed")
    with Redis() as server:
        yield server


def redis_client(url: str) -> "redis_package.Redis":
    """A client that can change the server's configuration."""
    return redis_package.Redis.from_url(url)


def test_django_reports_nothing_on_a_site_with_https(tmp_path: Path) -> None:
    """Run the command itself, with settings from environment variables."""
    tmp_path.chmod(0o700)
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path),
        "SITE_URL": "https://chat.example.org",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "TRUSTED_PROXY_COUNT": "1",
        "EMAIL_URL": "smtp+tls://user:password@mail.example.org:587",
        "DEFAULT_FROM_EMAIL": "Parley <parley@example.org>",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    found = set(re.findall(r"\((\w+\.\w+)\)", done.stdout + done.stderr))
    # What is left depends on the machine that runs the tests.
    assert found <= {"parley.W001", "parley.W011"}, done.stderr
    assert "no issues" in done.stdout or found


def test_the_command_reports_what_is_wrong(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "(parley.W007)" in done.stderr
    assert "(security.W018)" in done.stderr

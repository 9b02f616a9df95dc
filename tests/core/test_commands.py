"""Commands that can't run yet say what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT, free_port

COMMANDS = [
    ["populate", "--users", "1"],
    ["createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.org"],
    ["shell", "--command", "from apps.accounts.models import User; User.objects.count()"],
]


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run manage.py without the tests' own environment."""
    arguments = [sys.executable, "manage.py", *command]
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_migrations_a_command_says_to_run_migrate_first(tmp_path: Path, command: list[str]) -> None:
    done = run(*command, DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "manage.py migrate" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["migrate", "populate"])
def test_without_its_database_a_command_names_the_setting(tmp_path: Path, command: str) -> None:
    database = f"postgres://parley@127.0.0.1:{free_port()}/parley"
    done = run(command, DATA_DIR=str(tmp_path), DATABASE_URL=database)
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr + done.stdout


def test_a_python_without_the_libraries_names_the_one_that_has_them(tmp_path: Path) -> None:
    # -S hides the installed libraries, as if this were the system's Python.
    command = [sys.executable, "-S", "manage.py", "populate"]
    done = subprocess.run(command, cwd=ROOT, env={"DATA_DIR": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert ".venv/bin/python manage.py populate" in done.stderr
    assert "Traceback" not in done.stderr

"""Jobs to test with. They record what they do as sessions: rows of a table that every site has."""

import os
import signal
import time
import uuid
from datetime import timedelta
from pathlib import Path

from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.jobs.job import NETWORK, job


def note(name: str) -> None:
    """Record that something was done, once per call."""
    row = f"{name}.{uuid.uuid4().hex[: 38 - len(name)]}"
    Session.objects.create(session_key=row, session_data="", expire_date=timezone.now() + timedelta(days=1))


def notes(name: str = "") -> list[str]:
    """Return what was done, sorted by name."""
    keys = Session.objects.filter(session_key__startswith=name, session_key__contains=".")
    return sorted(key.partition(".")[0] for key in keys.values_list("session_key", flat=True))


@job()
def do(number: int) -> None:
    note(str(number))


@job(queue=NETWORK)
def send(number: int) -> None:
    note(str(number))


@job(queue=NETWORK, tries=3)
def fail_after_noting(number: int) -> None:
    note(str(number))
    raise OSError("away")


@job(tries=3)
def fail_in_transaction(number: int) -> None:
    note(str(number))
    raise ValueError("a text of somebody's")


@job()  # periodic in tests that use the fixture `regular`
def regularly() -> None:
    note("regularly")


@job(queue=NETWORK, tries=3)
def kill_the_process() -> None:
    note("killed")
    os.kill(os.getpid(), signal.SIGKILL)


@job(queue=NETWORK)
def wait_for_file(number: int) -> None:
    """Start, and finish once the test creates a file."""
    folder = Path(os.environ["SAMPLES"])
    (folder / f"begun-{number}").touch()
    while not (folder / f"go-{number}").exists():
        time.sleep(0.01)
    note(str(number))


@job()
def work_a_little(number: int) -> None:
    """Spend most of the time inside the transaction."""
    time.sleep(0.005)
    note(str(number))
    time.sleep(0.005)


@job(queue=NETWORK)
def send_slowly(number: int) -> None:
    """Leave time to be killed after the work and before success is recorded."""
    note(str(number))
    time.sleep(0.04)

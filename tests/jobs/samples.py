"""Jobs to test with. What they do is noted in rows that the site has anyway."""

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
    """Leave a row for each time that something was done."""
    row = f"{name}.{uuid.uuid4().hex[: 38 - len(name)]}"
    Session.objects.create(session_key=row, session_data="", expire_date=timezone.now() + timedelta(days=1))


def notes(name: str = "") -> list[str]:
    """What was done, in order of the names."""
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


@job()  # every two seconds, where a test says so
def regularly() -> None:
    note("regularly")


@job(queue=NETWORK, tries=3)
def kill_the_process() -> None:
    note("killed")
    os.kill(os.getpid(), signal.SIGKILL)


@job(queue=NETWORK)
def wait_for_file(number: int) -> None:
    """Begin, and end when the test says so."""
    folder = Path(os.environ["SAMPLES"])
    (folder / f"begun-{number}").touch()
    while not (folder / f"go-{number}").exists():
        time.sleep(0.01)
    note(str(number))


@job()
def work_a_little(number: int) -> None:
    """Much of the time in the middle."""
    time.sleep(0.005)
    note(str(number))
    time.sleep(0.005)


@job(queue=NETWORK)
def send_slowly(number: int) -> None:
    """It may be done and not noted."""
    note(str(number))
    time.sleep(0.04)

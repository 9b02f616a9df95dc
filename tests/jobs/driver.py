"""
Run a worker with the sample jobs, enqueue jobs for it, or report on them, each as a process of its own.

    python -m tests.jobs.driver work
    python -m tests.jobs.driver fill 900 100 50   # jobs, jobs of transactions that are rolled back, mails
    python -m tests.jobs.driver wait 7            # a job that finishes once the file go-7 exists
    python -m tests.jobs.driver tell              # prints the outcome as JSON

The environment variable LIMITS overrides names of apps.core.limits, as JSON.
"""

import json
import os
import sys
from collections import Counter

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# As `run_jobs`, a worker gets the settings of one (config/environment.py).
sys.argv = ["manage.py", "run_jobs" if sys.argv[1] == "work" else sys.argv[1], *sys.argv[2:]]

from apps.core import limits  # noqa: E402

for name, value in json.loads(os.environ.get("LIMITS", "{}")).items():
    assert hasattr(limits, name)
    setattr(limits, name, value)

django.setup()

from django.core.mail import EmailMessage  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from apps.jobs import outgoing  # noqa: E402
from apps.jobs.models import StoredJob  # noqa: E402
from tests.jobs import samples  # noqa: E402


def fill(count: int, undone: int, mails: int) -> None:
    """Enqueue `count` jobs, alternating between the queues, some that are rolled back, and mails."""
    for number in range(mails):
        message = EmailMessage("Hello", "Your code", "site@example.org", [f"{number}@example.org"])
        outgoing.queue(message, good_for_seconds=3600)
    for number in range(count + undone):
        try:
            with transaction.atomic():
                (samples.work_a_little if number % 2 else samples.send_slowly).enqueue(number)
                if number >= count:
                    raise InterruptedError
        except InterruptedError:
            pass


def tell() -> None:
    """Print how many jobs have each status, how many tries they took, and how often each was run."""
    ours = StoredJob.objects.filter(task_path__startswith="tests.")
    done = Counter(int(name) for name in samples.notes() if name.isdigit())
    told = {
        "statuses": Counter(ours.values_list("status", flat=True)),
        "tries": Counter(len(tries) for tries in ours.values_list("worker_ids", flat=True)),
        "done": done,
        "regular": len(samples.notes("regularly")),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    command, *numbers = sys.argv[1:]
    if command == "fill":
        fill(*map(int, numbers))
    elif command == "wait":
        samples.wait_for_file.enqueue(int(numbers[0]))
    elif command == "tell":
        tell()
    else:
        call_command("run_jobs")

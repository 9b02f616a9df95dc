"""
Each verb against each other (tests/verbs.py), over two processes and PostgreSQL: no deadlocks, no errors.

In `make test` each thread does a few of each pair. In full, each pair runs for two seconds (15 minutes in all):

    FAULTS=full .venv/bin/python -m pytest tests/faults/test_pairs.py -s
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import Any

import psycopg
import pytest

from tests import install
from tests.servers import ROOT, Postgres, Site
from tests.verbs import VERBS

IS_FULL = os.environ.get("FAULTS") == "full"
# For each pair; each thread does its verb at least once.
SECONDS = 2.0 if IS_FULL else 0.03
THREADS = 4 if IS_FULL else 2


class Doer:
    """A separate process that runs verbs."""

    def __init__(self, site: Site) -> None:
        environment = {**site.variables(), "DJANGO_SETTINGS_MODULE": "config.settings", "THREADS": str(THREADS)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.verbs"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, verb: str, seconds: float = 0) -> None:
        """Have it run a verb for this long; `answer` returns the outcome."""
        assert self.process.stdin
        self.process.stdin.write(f"{verb} {seconds}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the process has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=30)


@dataclass
class Tally:
    """The outcomes of all pairs."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, pair: str, *outcomes: dict[str, Any]) -> None:
        counts: Counter[str] = sum((Counter(outcome["counts"]) for outcome in outcomes), Counter())
        self.counts.update(counts)
        if deadlocks := counts["deadlocks"]:
            self.faults.append(f"{pair}: {deadlocks} deadlocks")
        # On a busy machine some wait too long, but then the others get something done.
        if counts.total() and counts["busy"] == counts.total():
            self.faults.append(f"{pair}: all {counts['busy']} were told to retry")
        self.faults += [f"{pair}: {fault}" for outcome in outcomes for fault in outcome["faults"]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if not install.postgres_folder():
        pytest.skip("PostgreSQL is not installed")
    with Postgres() as server:
        yield server


def deadlocks(server: Postgres) -> int:
    """The number of deadlocks that the server has counted."""
    with psycopg.connect(server.url) as connection:
        found = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'").fetchone()
    assert found
    return int(found[0])


def test_no_pair_of_verbs_deadlocks_over_two_processes(postgres: Postgres) -> None:
    site = Site({"DATABASE_URL": postgres.url, "SECRET_KEY": "shared"})
    site.manage("migrate", "--verbosity", "0")
    doers, tally = [Doer(site), Doer(site)], Tally()
    try:
        for pair in combinations_with_replacement(VERBS, 2):
            doers[0].ask("fill")
            tally.add("fill", doers[0].answer())
            for doer, verb in zip(doers, pair, strict=True):
                doer.ask(verb, SECONDS)
            tally.add(" and ".join(pair), *[doer.answer() for doer in doers])
    finally:
        for doer in doers:
            doer.stop()
    print(dict(tally.counts), f"the server counted {deadlocks(postgres)} deadlocks")
    assert not tally.faults, "\n".join(tally.faults[:40])
    assert deadlocks(postgres) == 0
    assert tally.counts["done"] > len(VERBS) ** 2
    assert tally.counts["busy"] < tally.counts["done"] / 20

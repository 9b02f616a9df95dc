"""Each verb locks rows in the order of apps/core/locks.py: seen in what it asks of PostgreSQL, by itself."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tests.verbs import REFUSALS, VERBS, NothingThereError, fill_up

PLACES = {"django_content_type": 0, "accounts_user": 1, "rooms_room": 2}
REST = 3
WRITES = re.compile(r'^(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')
LOCKS = re.compile(r'^SELECT .* FROM "(\w+)".* FOR (?:NO KEY )?UPDATE')
# `device` is allauth's, each statement a transaction by itself.
VERBS_IN_TRANSACTIONS = sorted(set(VERBS) - {"device"})


def locked_by(act: Callable[[], object]) -> list[str]:
    """The tables in which it locks or writes rows, in the order in which it comes to each for the first time."""
    tables: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = WRITES.match(sql) or LOCKS.match(sql)
        if found and found[1] not in tables:
            tables.append(found[1])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        act()
    return tables


@pytest.mark.parametrize("verb", VERBS_IN_TRANSACTIONS)
def test_a_verb_locks_names_then_accounts_then_rooms_then_the_rest(db: None, verb: str) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock")
    tables: list[str] = []
    # Who and where is chosen by chance, and some are refused.
    for _ in range(12):
        fill_up()
        try:
            tables = locked_by(VERBS[verb]())
        except (NothingThereError, *REFUSALS):
            continue
        places = [PLACES.get(table, REST) for table in tables]
        assert places == sorted(places), tables
    assert tables

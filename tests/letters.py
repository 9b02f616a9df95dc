"""The table of letters (core/letters.toml), for the tests that use it."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

TABLE: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parent / "core" / "letters.toml").read_text(encoding="utf-8")
)


def cases(kind: str, *columns: str) -> list[Any]:
    """The rows of one kind, for pytest's parametrize."""
    rows = TABLE[kind]
    return [
        pytest.param(*(row[column] for column in columns), id=f"{kind}-{number}-{row.get('script', 'any')}")
        for number, row in enumerate(rows)
    ]

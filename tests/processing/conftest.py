"""The tables of the processors that misbehave, and short ways to look at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from fundlyhub.database import connect
from fundlyhub.settings import Settings
from tests.support.processors import TABLES

Query = Callable[..., Any]


@pytest.fixture
def query(settings: Settings) -> Query:
    """Run SQL in the test's database and return all rows."""
    with connect("events", autocommit=True) as db:
        db.execute(TABLES)

    def run(sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(settings.dsn("events"), autocommit=True) as db:
            cursor = db.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    return run

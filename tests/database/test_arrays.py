"""Arrays: PostgreSQL reads what was given, whatever form it went in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fundlyhub.database.arrays import Columns, Plain, array

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=9, minutes=30))])
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001
KINDS: dict[str, st.SearchStrategy[Plain]] = {
    "uuid": st.uuids(),
    "timestamptz": TIMES,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=6),
    "boolean": st.booleans(),
    "text": st.sampled_from(["EUR", "USD", "JPY"]),
}


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


def back(db: psycopg.Connection[Any], values: list[Plain], kind: str) -> list[Any]:
    """Each element as its row, so that nothing depends on how psycopg reads arrays."""
    rows = db.execute(f"SELECT * FROM unnest(%s::{kind}[])", [array(values)])
    return [value for (value,) in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_reads_what_was_given(db: psycopg.Connection[Any], kind: str) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.none() | KINDS[kind], max_size=30))
    def reads(values: list[Plain]) -> None:
        assert back(db, values, kind) == values

    reads()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_none_at_all(db: psycopg.Connection[Any], kind: str, values: list[None]) -> None:
    assert back(db, [*values], kind) == values


def test_the_first_and_the_last_time(db: psycopg.Connection[Any]) -> None:
    ends = [
        datetime.min.replace(tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime.max.replace(tzinfo=UTC),
    ]
    assert back(db, [*ends], "timestamptz") == ends


def test_a_time_without_a_zone_is_refused(db: psycopg.Connection[Any]) -> None:
    with pytest.raises(TypeError, match="offset-naive"):
        back(db, [datetime(2026, 1, 1)], "timestamptz")  # noqa: DTZ001


def test_rows_become_columns(db: psycopg.Connection[Any]) -> None:
    columns = Columns("id", id="uuid", amount="numeric", currency="code", note="text")
    rows = [(UUID(int=1), None, "EUR", 'a "quoted" {note}, with NULL'), (UUID(int=2), Decimal("0.10"), None, None)]
    assert str(columns) == "id, amount, currency, note"
    assert columns.assigned == "amount = given.amount, currency = given.currency, note = given.note"
    assert db.execute(f"SELECT {columns} FROM {columns.given}", columns.bound(iter(rows))).fetchall() == rows

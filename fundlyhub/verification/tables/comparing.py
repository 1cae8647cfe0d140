"""Compares two tables row by row in SQL, and names each difference by key and column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from fundlyhub.verification.findings import LISTED, Finding, Kind
from fundlyhub.verification.tables.columns import Comparison

_COMPARE = """
    SELECT count(*) OVER (), {keys}, expected.key_there IS NULL AS extra, found.key_there IS NULL AS lacking,
           array_remove(ARRAY[{differing}]::text[], NULL), {shown}
    FROM (SELECT true AS key_there, {made} FROM {shadow}.{source} AS one WHERE {where}) AS expected
    {join} JOIN (SELECT true AS key_there, {live_made} FROM {live}.{source} AS one WHERE {live_where}) AS found
        ON {same_key}
    WHERE expected.key_there IS NULL OR found.key_there IS NULL OR {different}
    ORDER BY {keys} LIMIT %(limit)s
"""
_COUNT = """
    SELECT count(*) FILTER (WHERE lacking), count(*) FILTER (WHERE extra),
           count(*) FILTER (WHERE NOT lacking AND NOT extra)
    FROM ({differences}) AS one
"""


def differences(
    db: Connection,
    kept: Comparison,
    *,
    shadow: str,
    live: str,
    sample: Mapping[str, Any] | None = None,
    limit: int = LISTED,
) -> Iterator[tuple[int, Finding]]:
    """Each row that differs, with the number of all that do; ``sample`` restricts it to the rows of the table's."""
    name, numbers = kept.table.name, [column for column in kept.columns if column in kept.shown]
    sql = _statement(kept, numbers, shadow, live, restricted=sample is not None)
    for total, *row in db.exec_driver_sql(sql, {"limit": limit, **(sample or {})}):
        key = dict(zip(kept.key, row, strict=False))
        extra, lacking, columns, *shown = row[len(kept.key) :]
        expected, found = shown[: len(numbers)], shown[len(numbers) :]
        kind: Kind = "double" if extra else "missing" if lacking else "different"
        picked = [n for n, column in enumerate(numbers) if not columns or column in columns]
        where = ", ".join(f"{name} {value}" for name, value in key.items())
        yield (
            total,
            Finding(
                kind,
                kept.processor,
                f"{name} ({where}): {_WORDS[kind]}{', '.join(columns)}",
                position=_position(key, numbers, expected, found),
                table=name,
                key=key,
                columns=tuple(columns),
                expected=None if extra else {numbers[n]: _plain(expected[n]) for n in picked} or None,
                found=None if lacking else {numbers[n]: _plain(found[n]) for n in picked} or None,
            ),
        )


def counts(
    db: Connection, kept: Comparison, *, shadow: str, live: str, sample: Mapping[str, Any] | None = None
) -> tuple[int, int, int]:
    """The numbers of rows that only the shadow has, that only the live table has, and that differ."""
    sql = _COUNT.format(differences=_statement(kept, [], shadow, live, restricted=sample is not None))
    lacking, extra, both = db.exec_driver_sql(sql, {"limit": None, **(sample or {})}).one()
    return lacking, extra, both


_WORDS: Mapping[Kind, str] = {
    "double": "a row that follows from no event",
    "missing": "the row is missing",
    "different": "differs in ",
}


def _statement(kept: Comparison, numbers: list[str], shadow: str, live: str, *, restricted: bool) -> str:
    table = kept.table
    where = f"({table.where}) AND ({table.sample})" if restricted else table.where
    both = "expected.key_there AND found.key_there"
    differs = {column: f"{_of('expected', column)} IS DISTINCT FROM {_of('found', column)}" for column in kept.columns}
    return _COMPARE.format(
        keys=", ".join(f"coalesce({_of('expected', column)}, {_of('found', column)})" for column in kept.key),
        differing=", ".join(f"CASE WHEN {both} AND {other} THEN '{name}' END" for name, other in differs.items())
        or "NULL",
        shown=", ".join(_of(side, column) for side in ("expected", "found") for column in numbers) or "NULL",
        made=_columns(kept, shadow),
        live_made=_columns(kept, live),
        shadow=shadow,
        live=live,
        source=quoted(kept.source),
        where=where.replace("{schema}", shadow),
        live_where=where.replace("{schema}", live),
        join="LEFT" if table.others_insert else "FULL",
        same_key=" AND ".join(f"{_of('expected', column)} = {_of('found', column)}" for column in kept.key),
        different=" OR ".join(differs.values()) or "false",
    )


def _columns(kept: Comparison, schema: str) -> str:
    """The key and the columns that are compared, of a row in this schema."""
    made = {column: sql.format(schema=schema) for column, sql in kept.table.expressions.items()}
    return ", ".join(f"{made.get(column, quoted(column))} AS {quoted(column)}" for column in (*kept.key, *kept.columns))


def _of(side: str, column: str) -> str:
    return f"{side}.{quoted(column)}"


def quoted(name: str) -> str:
    """A name that an author may have chosen freely."""
    return '"' + name.replace('"', '""') + '"'


def _position(key: Mapping[str, Any], numbers: list[str], expected: list[Any], found: list[Any]) -> int | None:
    """The position of the event that a row belongs to, if the row has it."""
    for values in (key, dict(zip(numbers, expected, strict=False)), dict(zip(numbers, found, strict=False))):
        if isinstance(position := values.get("position"), int):
            return position
    return None


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value

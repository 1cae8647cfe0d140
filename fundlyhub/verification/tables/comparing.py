"""Compares two tables row by row in SQL, and names each difference by key and column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from fundlyhub.verification.findings import LISTED, Finding, Kind
from fundlyhub.verification.tables.truth import Kept

_COMPARE = """
    SELECT count(*) OVER (), {keys}, expected.key_there IS NULL, found.key_there IS NULL,
           array_remove(ARRAY[{differing}]::text[], NULL), {shown}
    FROM (SELECT true AS key_there, {made} FROM {shadow}.{source} AS one WHERE {where}) AS expected
    {join} JOIN (SELECT true AS key_there, {live_made} FROM {live}.{source} AS one WHERE {where}) AS found
        ON {same_key}
    WHERE expected.key_there IS NULL OR found.key_there IS NULL OR {different}
    ORDER BY {keys} LIMIT %(limit)s
"""


def differences(
    db: Connection, kept: Kept, *, shadow: str, live: str, sample: Mapping[str, Any] | None = None
) -> Iterator[tuple[int, Finding]]:
    """Each row that differs, with the number of all that do; ``sample`` restricts it to its campaigns."""
    numbers = [column for column in kept.columns if column in kept.numbers]
    sql = _statement(kept, numbers, shadow, live, restricted=sample is not None)
    for total, *row in db.exec_driver_sql(sql, {"limit": LISTED, **(sample or {})}):
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
                kept.processors[0],
                f"{kept.name} ({where}): {_WORDS[kind]}{', '.join(columns)}",
                position=_position(key, numbers, expected, found),
                table=kept.name,
                key=key,
                columns=tuple(columns),
                expected=None if extra else {numbers[n]: _plain(expected[n]) for n in picked} or None,
                found=None if lacking else {numbers[n]: _plain(found[n]) for n in picked} or None,
            ),
        )


_WORDS: Mapping[Kind, str] = {
    "double": "a row that follows from no event",
    "missing": "the row is missing",
    "different": "differs in ",
}


def _statement(kept: Kept, numbers: list[str], shadow: str, live: str, *, restricted: bool) -> str:
    where = f"{kept.where} AND {kept.sampled}" if restricted else kept.where
    pairs = [(f"expected.{column}", f"found.{column}") for column in kept.columns]
    both = "expected.key_there AND found.key_there"
    differing = [
        f"CASE WHEN {both} AND {one} IS DISTINCT FROM {other} THEN '{column}' END"
        for column, (one, other) in zip(kept.columns, pairs, strict=True)
    ]
    return _COMPARE.format(
        keys=", ".join(f"coalesce(expected.{column}, found.{column})" for column in kept.key),
        differing=", ".join(differing) or "NULL",
        shown=", ".join(f"{side}.{column}" for side in ("expected", "found") for column in numbers) or "NULL",
        made=_columns(kept, shadow),
        live_made=_columns(kept, live),
        shadow=shadow,
        live=live,
        source=kept.source,
        where=where,
        join="LEFT" if kept.others_add else "FULL",
        same_key=" AND ".join(f"expected.{column} = found.{column}" for column in kept.key),
        different=" OR ".join(f"{one} IS DISTINCT FROM {other}" for one, other in pairs) or "false",
    )


def _columns(kept: Kept, schema: str) -> str:
    parts = [
        f"{kept.expressions[column].format(schema=schema)} AS {column}" if column in kept.expressions else column
        for column in (*kept.key, *kept.columns)
    ]
    return ", ".join(parts)


def _position(key: Mapping[str, Any], numbers: list[str], expected: list[Any], found: list[Any]) -> int | None:
    """The position of the event that a row belongs to, if the row has it."""
    for values in (key, dict(zip(numbers, expected, strict=False)), dict(zip(numbers, found, strict=False))):
        if isinstance(position := values.get("position"), int):
            return position
    return None


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value

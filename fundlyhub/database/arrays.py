"""Columns as PostgreSQL arrays: each kind of value in the form that costs both sides least.

UUIDs and times go in binary form: as text, either side needs three to five times as long for them. Numbers go as text,
which is the other way round. psycopg's own text of an array looks for signs to quote in every element.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import psycopg
from psycopg.types.array import ListBinaryDumper

Plain = UUID | Decimal | datetime | int | str | None
"""What stands in an array without quotes; of texts only codes of letters, such as currencies."""

_BINARY = {UUID, datetime}


class BinaryArray(list[Plain]):
    """Values that psycopg sends in binary form."""


Array = BinaryArray | str
"""A parameter."""

psycopg.adapters.register_dumper(BinaryArray, ListBinaryDumper)


def array(values: Iterable[Plain]) -> Array:
    """An array of values of one type, to be bound as a parameter that the statement casts."""
    column = BinaryArray(values)
    if type(next(filter(_is_given, column), None)) in _BINARY:
        return column
    return "{" + ",".join(["NULL" if value is None else str(value) for value in column]) + "}"


def _is_given(value: Plain) -> bool:
    return value is not None


def arrays(names: Iterable[str], rows: Iterable[Iterable[Plain]]) -> dict[str, Array]:
    """Rows as one array per column, by the columns' names; for unnest."""
    return {name: array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}

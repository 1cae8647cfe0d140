"""Makes PostgreSQL arrays of columns, each kind of value in its cheapest form.

UUIDs and times go in binary form: as text, either side needs three to five times as long for them. Numbers go as text,
which is the other way round. psycopg's own arrays cost a multiple of either: it calls Python for each element, and in
its text looks for signs to quote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from struct import Struct
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

Plain = UUID | Decimal | datetime | int | str | None
"""What stands in an array without quotes; of texts only codes of letters, such as currencies."""

# PostgreSQL's array_recv: dimensions, whether one is null, the elements' type; then of the only dimension its length
# and first index. Before each element stands its length, -1 for a null.
_HEAD = Struct(">iiIii")
_NULL = b"\xff\xff\xff\xff"
_LENGTH_OF_UUID = b"\x00\x00\x00\x10"
_TIME = Struct(">iq")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Uuids(list[UUID | None]):
    """A uuid[] in binary form."""


class Times(list[datetime | None]):
    """A timestamptz[] in binary form; its times have a zone."""


Array = Uuids | Times | str
"""A parameter."""


class _UuidsDumper(Dumper):
    format = Format.BINARY
    oid = types["uuid"].array_oid

    def dump(self, obj: Uuids) -> bytes:
        return _packed("uuid", [_NULL if one is None else _LENGTH_OF_UUID + one.int.to_bytes(16, "big") for one in obj])


class _TimesDumper(Dumper):
    format = Format.BINARY
    oid = types["timestamptz"].array_oid

    def dump(self, obj: Times) -> bytes:
        return _packed(
            "timestamptz", [_NULL if one is None else _TIME.pack(8, (one - _EPOCH) // _MICROSECOND) for one in obj]
        )


def _packed(element: str, elements: list[bytes]) -> bytes:
    return _HEAD.pack(1, _NULL in elements, types[element].oid, len(elements), 1) + b"".join(elements)


psycopg.adapters.register_dumper(Uuids, _UuidsDumper)
psycopg.adapters.register_dumper(Times, _TimesDumper)
_BINARY: dict[type, type[Uuids | Times]] = {UUID: Uuids, datetime: Times}


def array(values: Iterable[Plain]) -> Array:
    """An array of values of one type, to be bound as a parameter that the statement casts."""
    column: list[Any] = list(values)
    binary = _BINARY.get(type(next(filter(_is_given, column), None)))
    if binary is not None:
        return binary(column)
    return "{" + ",".join(["NULL" if value is None else str(value) for value in column]) + "}"


def _is_given(value: Plain) -> bool:
    return value is not None


class Columns:
    """The columns of rows that a statement takes as one array each. ``str()`` of it lists their names.

    Types are those of PostgreSQL, by name; of texts ``code`` is one without signs that an array has to quote.

    ::

        COLUMNS = Columns("donation_id", donation_id="uuid", amount="numeric", currency="code", note="text")
        INSERT = f"INSERT INTO gifts ({COLUMNS}) SELECT * FROM {COLUMNS.given} ORDER BY donation_id"
        db.exec_driver_sql(INSERT, COLUMNS.bound(rows))
    """

    def __init__(self, *key: str, **types: str) -> None:
        self._types: Mapping[str, str] = types
        parameters = ", ".join(f"%({name})s::{'text' if kind == 'code' else kind}[]" for name, kind in types.items())
        self.given = f"unnest({parameters}) AS given({self})"
        """The rows, as a table ``given``."""
        self.assigned = ", ".join(f"{name} = given.{name}" for name in types if name not in key)
        """What an UPDATE sets: all columns that are not of the key."""

    def __str__(self) -> str:
        return ", ".join(self._types)

    def bound(self, rows: Iterable[Iterable[Any]]) -> dict[str, Array | list[Any]]:
        """The parameters of ``given``."""
        columns = tuple(zip(*rows, strict=True)) or ((),) * len(self._types)
        given = zip(self._types.items(), columns, strict=True)
        return {name: list(column) if kind == "text" else array(column) for (name, kind), column in given}

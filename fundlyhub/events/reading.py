"""Reading events back from the log by position, in portions of limited size.

Whatever loads many events goes through here, so that large ones cost it no more memory than small ones. The rules for
new events are no protection: the log may hold older ones, or what its owner wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.events.log import LONGEST_AGGREGATE_ID, LONGEST_TYPE, MAX_TEXT, StoredEvent, representable
from fundlyhub.events.rules import MAX_BYTES, MAX_DEPTH, MAX_DIGITS
from fundlyhub.settings import get_settings

_UNCOMPRESSED = 2_000
"""Bytes of a value that is short however its numbers are written."""
_SIMPLE = 16_000
"""The same without compression: a thousand numbers at most, of 147,000 digits each."""
_STORED = 4 * MAX_BYTES
_RAW = 7 * MAX_BYTES
"""Most bytes of a value within the limits, without compression: a digit and its comma take twelve."""
_NUMBER = 2 * MAX_DIGITS + 10
"""Most characters of a number that an event may have."""
DEEPEST = 100
"""Levels that are loaded. Events have ``MAX_DEPTH`` at most; encoders and PostgreSQL's own paths give up at some
hundreds, or at some thousands, with an error that would be that of all the rows of a statement."""


def short(column: str) -> str:
    """SQL for whether a jsonb column is surely not far too large as text, nor far too deep, without making that text.

    A few bytes of jsonb can be a number of 147,000 digits, and a megabyte that was compressed can be a hundred. So only
    what is small in any case passes without a look: up to the size that is never compressed, then by its size without
    compression (a composite value holds it so). A larger one may have no longer numbers than events may have.
    """
    numbers = f"""jsonb_array_elements(jsonb_path_query_array({column}, 'strict $.** ? (@.type() == "number")'))"""
    return f"""CASE
        WHEN pg_column_size({column}) <= {_UNCOMPRESSED} AND pg_column_compression({column}) IS NULL THEN true
        WHEN pg_column_size({column}) > {_STORED} THEN false
        WHEN {_deeper(column, DEEPEST)} THEN false
        WHEN pg_column_size(ROW({column})) <= {_SIMPLE} THEN true
        WHEN pg_column_size(ROW({column})) > {_RAW} THEN false
        ELSE NOT EXISTS (SELECT FROM {numbers} AS number WHERE octet_length(number::text) > {_NUMBER}) END"""


def _deeper(column: str, levels: int) -> str:
    return f"{column} @? 'strict $.**{{{levels + 1}}}'"


_SHOWN = 2_000_000
"""Most characters of a JSON text: what is nested deeply is all indentation."""


def pretty(column: str) -> str:
    """SQL for a jsonb column as text that people read. What is too large to be loaded is too large for that, too.

    What is deeper than events may be stays in one line: the server makes all of the indentation before it is cut.
    """
    text = f"CASE WHEN {_deeper(column, MAX_DEPTH)} THEN {column}::text ELSE jsonb_pretty({column}) END"
    return f"CASE WHEN {short(column)} THEN left({text}, {_SHOWN}) ELSE '(far too large, or far too deep)' END"


_TIMES = f"""{representable("occurred_at")} AS occurred_at, {representable("recorded_at")} AS recorded_at"""
_SHORT = f"left(type, {LONGEST_TYPE + 1}) AS type, left(version, 30) AS version"
_ABOUT = f"left(aggregate_id, {LONGEST_AGGREGATE_ID}) AS aggregate_id"
_FITS = f"octet_length({{}}) <= {MAX_TEXT}"
_PAYLOAD, _METADATA = _FITS.format("payload"), _FITS.format("metadata")
# A question is put into the statement by its braces; a JSON path has some, too.
_SHORT_PAYLOAD, _SHORT_METADATA = (
    short(column).replace("{", "{{").replace("}", "}}") for column in ("payload", "metadata")
)

# The text of each column is made once, and tells its length. OFFSET 0 keeps the planner from making it again.
_READ = f"""
    SELECT {{question}}, total, position, id, type, version, occurred_at, recorded_at, correlation_id, causation_id,
           CASE WHEN {_PAYLOAD} AND total <= %(small)s THEN payload END,
           CASE WHEN {_METADATA} AND total <= %(small)s THEN metadata END, aggregate_id
    FROM (
        SELECT *, CASE WHEN {_PAYLOAD} THEN octet_length(payload) ELSE 0 END
                + CASE WHEN {_METADATA} THEN octet_length(metadata) ELSE 0 END AS total
        FROM (
            SELECT position, id, {_SHORT}, {_TIMES}, correlation_id, causation_id, {_ABOUT},
                   CASE WHEN {_SHORT_PAYLOAD} THEN payload::text END AS payload,
                   CASE WHEN {_SHORT_METADATA} THEN metadata::text END AS metadata
            FROM events.events
            WHERE position = ANY (%(positions)s::bigint[])
            ORDER BY position OFFSET 0
        ) AS written
    ) AS measured
"""  # noqa: S608  # our own constants
# This can be read whatever a row holds. Metadata that is surely short tells whether the event is part of a trace.
_IDENTITIES = f"""
    SELECT {{question}}, position, id, {_SHORT}, {_TIMES}, correlation_id, causation_id, NULL,
           CASE WHEN pg_column_size(metadata) <= 500 AND pg_column_compression(metadata) IS NULL
                     AND metadata ? 'traceparent'
                THEN jsonb_strip_nulls(jsonb_build_object(
                    'traceparent', left(metadata ->> 'traceparent', 60),
                    'tracestate', left(metadata ->> 'tracestate', 600)))::text END,
           {_ABOUT}
    FROM events.events WHERE position = ANY (%(positions)s::bigint[]) ORDER BY position
"""  # noqa: S608  # our own constants


class First(NamedTuple):
    """The first portion of some positions, the answer to a question, and the portions that are left."""

    rows: list[StoredEvent]
    answer: bool | None
    rest: list[tuple[int, ...]]


def read_in_portions(db: Connection, positions: Sequence[int]) -> Iterator[list[StoredEvent]]:
    """The rows at these positions, in order, in lists of limited size; missing positions are left out.

    A list holds at most ``load_bytes`` of text (a setting), however large the events are. A payload or metadata beyond
    ``MAX_TEXT`` or ``DEEPEST`` is None.
    """
    found = read_first(db, positions, "NULL")
    yield found.rows
    for portion in found.rest:
        yield [StoredEvent._make(row[2:]) for row in _rows(db, portion, "NULL", 2 * MAX_TEXT)]


def read(db: Connection, positions: Sequence[int]) -> list[StoredEvent]:
    """The rows at a few positions, all of them at once."""
    return [row for portion in read_in_portions(db, positions) for row in portion]


def read_first(db: Connection, positions: Sequence[int], question: str, **given: Sequence[str]) -> First:
    """The first rows at these positions, up to ``load_bytes`` of text, and in the same round trip an answer.

    The question is a constant SQL expression, with the parameters ``positions`` and ``given``; its answer is None
    without any row. Nearly always the first portion is all, and one statement reads it; only if an event is larger
    than its share of the portion, a second statement reads those that are.
    """
    limit = get_settings().load_bytes
    share = limit // max(1, len(positions))
    rows = _rows(db, positions, question, share, **given)
    answer = rows[0][0] if rows else None
    if all(row[1] <= share for row in rows):
        return First([StoredEvent._make(row[2:]) for row in rows], answer, [])
    first, *rest = cut(((row[2], row[1]) for row in rows), limit)
    larger = [row[2] for row in rows[: len(first)] if row[1] > share]
    whole = {row[2]: row for row in _rows(db, larger, "NULL", 2 * MAX_TEXT)} if larger else {}
    found = [StoredEvent._make(whole.get(row[2], row)[2:]) for row in rows[: len(first)]]
    return First(found, answer, rest)


def identities(
    db: Connection, positions: Sequence[int], question: str = "NULL", **given: Sequence[str]
) -> tuple[list[StoredEvent], bool | None]:
    """The rows without their contents, which may be anything, and the answer to a question; see ``read_first``.

    Of the metadata no more is there than the context of a trace.
    """
    rows = _fetched(db, _IDENTITIES, question, positions=array(positions), **given)
    return [StoredEvent._make(row[1:]) for row in rows], rows[0][0] if rows else None


def cut(sizes: Iterable[tuple[int, int]], limit: int) -> list[tuple[int, ...]]:
    """Positions with their sizes in bytes, in portions of at most ``limit`` bytes, or of a single position. Pure."""
    portions: list[list[int]] = []
    left = 0
    for position, size in sizes:
        if not portions or size > left:
            portions.append([])
            left = limit
        portions[-1].append(position)
        left -= size
    return [tuple(portion) for portion in portions]


def _rows(db: Connection, positions: Sequence[int], question: str, small: int, **given: Sequence[str]) -> Sequence[Any]:
    """The answer, the bytes of text, and the row of each; contents of more than ``small`` bytes are left out."""
    return _fetched(db, _READ, question, positions=array(positions), small=small, **given)


def _fetched(db: Connection, statement: str, question: str, **given: Any) -> Sequence[Any]:
    found = db.exec_driver_sql(statement.format(question=question), given)
    assert found.cursor is not None
    rows = found.cursor.fetchall()  # the driver's rows: SQLAlchemy's are a third of the cost of a read
    found.close()
    return rows

"""Explains rows: the events that moved them, each with what it changed, and whether the live rows are the same.

The events are replayed one by one through the processor's own code in a shadow schema, as a verification replays them.
Everything is read in one snapshot, so that the answer is right however busy the platform is. Of columns that may hold
personal data only that they changed is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database import connect
from fundlyhub.database.engines import make_engine
from fundlyhub.errors import WrongUse
from fundlyhub.events.log import LONGEST_TYPE, representable
from fundlyhub.processing import DerivedTable
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting
from fundlyhub.settings import Settings
from fundlyhub.verification.aggregate_events import AggregateEvents
from fundlyhub.verification.findings import Findings
from fundlyhub.verification.tables.check import derived_tables
from fundlyhub.verification.tables.columns import Comparison, comparison
from fundlyhub.verification.tables.comparing import differences, quoted
from fundlyhub.verification.tables.replay import Replay
from fundlyhub.verification.tables.shadow import Shadow

MOST = 10_000
"""Events that are replayed one by one at most."""
WITHHELD = "(withheld)"
"""In place of a value that may be personal data."""

_EVENTS = f"""
    SELECT position, id, left(type, {LONGEST_TYPE}), {representable("occurred_at")} FROM events.events
    WHERE position = ANY (%(positions)s) ORDER BY position
"""  # noqa: S608  # our own constants
_ROWS = "SELECT {columns} FROM {schema}.{source} AS one WHERE ({where}) AND ({theirs}) ORDER BY {key}"

Key = tuple[str, ...]
"""The name of a table, and the values of a row's key."""
Rows = Mapping[Key, Mapping[str, str | None]]
"""Rows by their keys, with their columns."""


class _Digest(str):
    """What tells whether a withheld value has changed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One event, and what it changed: by the row's key, each column with its value before and after."""

    position: int
    event_id: UUID
    type: str
    occurred_at: datetime
    applied: bool
    """Whether the processor has claimed it: a dead letter, or an event that waits, changes nothing."""
    changed: Mapping[Key, Mapping[str, tuple[str | None, str | None]]]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps of an aggregate's rows; ``earlier`` events before them were applied together.

    ``rows`` is what follows from the events, ``live`` what the tables hold, ``differs`` how they differ.
    """

    processor: str
    keys: Mapping[str, tuple[str, ...]]
    """The columns of the key of each table."""
    earlier: int
    steps: tuple[Step, ...]
    rows: Rows
    live: Rows
    differs: tuple[str, ...]


def explainable(processors: Mapping[str, type[Processor]]) -> dict[str, list[DerivedTable]]:
    """The processors whose rows can be explained, with their tables: those that say which follow from one aggregate.

    Where tables name columns that may be shown, these are the ones that others read, and explained alone.
    """
    found = {}
    for name, processor in processors.items():
        if rows := processor.aggregate_rows:
            tables = [replace(table, sample=rows.rows[table.name]) for table in derived_tables(processor)]
            found[name] = [table for table in tables if table.shown] or tables
    return found


def explain(settings: Settings, processor: type[Processor], aggregate: UUID, *, limit: int = 1_000) -> Explanation:
    """Explain the rows of a campaign, a user or another aggregate; the last ``limit`` events one by one.

    It needs the rights of the owner, as a verification does. Raises WrongUse for a processor that does not say which of
    its rows follow from one aggregate (``aggregate_rows``).
    """
    tables = explainable({processor.name: processor}).get(processor.name)
    if tables is None:
        raise WrongUse(f"the rows of {processor.name} cannot be explained: it has no `aggregate_rows`")
    branch = processor.database
    log = make_engine("events", settings, pooled=False)
    with (
        Shadow(branch, settings) as shadow,
        log.connect() as stored,
        connect("events", settings=settings, autocommit=True) as events,
        shadow.db.begin() as transaction,
    ):
        shadow.db.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        kept = [_comparison(shadow, processor, table) for table in tables]  # its first query makes the snapshot
        theirs = AggregateEvents(settings, processor, aggregate)
        theirs.find()
        found = _Found(shadow, stored.execution_options(isolation_level="AUTOCOMMIT"), processor, kept, theirs)
        wants = wanting(processor)
        known = events.execute(_EVENTS, {"positions": sorted(theirs.positions)}).fetchall()
        logged = [row for row in known if wants(row[2])]
        earlier, last = logged[:-limit], logged[-limit:]
        found.apply([row[0] for row in earlier])
        steps = tuple(found.steps(last))
        rows, live = found.rows(shadow.name), found.rows(branch)
        differs = tuple(found.differs(branch))
        transaction.rollback()
    keys = {one.table.name: one.key for one in kept}
    return Explanation(processor.name, keys, len(earlier), steps, _shown(rows), _shown(live), differs)


def _comparison(shadow: Shadow, processor: type[Processor], table: DerivedTable) -> Comparison:
    found = comparison(shadow.db, shadow.name, processor.name, table)
    if found is None:
        raise WrongUse(f"the table {table.name} cannot be read, or has no key")
    return found


class _Found:
    """Replays the events of an aggregate in the shadow, and reads the rows that they make."""

    def __init__(
        self, shadow: Shadow, log: Connection, processor: type[Processor], kept: Sequence[Comparison],
        theirs: AggregateEvents,
    ) -> None:  # fmt: skip
        self._shadow, self._log, self._processor, self._kept = shadow, log, processor, kept
        self._given = theirs.rows

    def apply(self, positions: Sequence[int]) -> int:
        """Replay those of these events that were claimed; how many."""
        if not positions:
            return 0
        return Replay(self._shadow, self._log, self._processor, Findings(), positions).rest()

    def steps(self, logged: Sequence[tuple[int, UUID, str, datetime]]) -> Iterator[Step]:
        """Replay event by event, and tell what each changed."""
        before = self.rows(self._shadow.name)
        for position, id, kind, at in logged:
            applied = self.apply([position]) == 1
            after = self.rows(self._shadow.name) if applied else before
            yield Step(position, id, kind, at, applied, _changed(before, after))
            before = after

    def rows(self, schema: str) -> dict[Key, dict[str, str | None]]:
        """The aggregate's rows in a schema."""
        return {key: row for kept in self._kept for key, row in self._rows_of(kept, schema)}

    def differs(self, live: str) -> Iterator[str]:
        """How the live rows differ."""
        for kept in self._kept:
            found = differences(self._shadow.db, kept, shadow=self._shadow.name, live=live, sample=self._given)
            yield from (finding.what for _, finding in found)

    def _rows_of(self, kept: Comparison, schema: str) -> Iterator[tuple[Key, dict[str, str | None]]]:
        columns = [column for column in kept.columns if column not in kept.table.expressions]
        read = [*(f"{quoted(one)}::text" for one in kept.key), *(_value(kept, one) for one in columns)]
        sql = _ROWS.format(
            columns=", ".join(read),
            schema=schema, source=quoted(kept.source), where=kept.table.where,
            theirs=str(kept.table.sample).replace("{schema}", schema), key=", ".join(map(quoted, kept.key)),
        )  # fmt: skip
        for row in self._shadow.db.exec_driver_sql(sql, self._given):
            values = row[len(kept.key) :]
            named = {
                column: value if value is None or column in kept.shown else _Digest(value)
                for column, value in zip(columns, values, strict=True)
            }
            yield (kept.table.name, *row[: len(kept.key)]), named


def _value(kept: Comparison, column: str) -> str:
    text = f"{quoted(column)}::text"
    return text if column in kept.shown else f"md5({text})"


def _changed(before: Rows, after: Rows) -> dict[Key, dict[str, tuple[str | None, str | None]]]:
    changed: dict[Key, dict[str, tuple[str | None, str | None]]] = {}
    for key in sorted({*before, *after}):
        was, now = before.get(key, {}), after.get(key, {})
        columns = {
            name: (_plain(was.get(name)), _plain(now.get(name)))
            for name in {**was, **now}
            if was.get(name) != now.get(name)
        }
        if columns or (key in before) != (key in after):
            changed[key] = columns
    return changed


def _shown(rows: Rows) -> Rows:
    return {key: {name: _plain(value) for name, value in row.items()} for key, row in rows.items()}


def _plain(value: str | None) -> str | None:
    return WITHHELD if isinstance(value, _Digest) else value

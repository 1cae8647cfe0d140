"""Explains a row: the events that moved it, in order, each with what it changed, and whether the live row is the same.

The events are replayed one by one through the processor's own code in a shadow schema, as a verification replays them.
Everything is read in one snapshot, so that the answer is right however busy the platform is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection

from fundlyhub.database import connect
from fundlyhub.database.engines import make_engine
from fundlyhub.errors import WrongUse
from fundlyhub.events.log import LONGEST_TYPE, representable
from fundlyhub.processing import DerivedTable
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Settings
from fundlyhub.verification.findings import Findings
from fundlyhub.verification.tables.check import derived_tables
from fundlyhub.verification.tables.columns import Comparison, comparison
from fundlyhub.verification.tables.comparing import differences
from fundlyhub.verification.tables.replay import Replay
from fundlyhub.verification.tables.sample import Sample, sample_of
from fundlyhub.verification.tables.shadow import Shadow

MOST = 10_000
"""Events that are replayed one by one at most."""

_EVENTS = f"""
    SELECT position, id, left(type, {LONGEST_TYPE}), {representable("occurred_at")} FROM events.events
    WHERE position = ANY (%(positions)s)
"""  # noqa: S608  # our own constants
_ROWS = "SELECT {columns} FROM {schema}.{source} AS one WHERE ({where}) AND ({sample}) ORDER BY {key}"

Key = tuple[str, ...]
Rows = Mapping[Key, Mapping[str, str | None]]
"""Rows by their keys, with the columns that may be shown."""


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
    """The steps of a row; ``earlier`` events before them were applied together. ``differs`` says how the live row does.

    ``rows`` is what follows from the events, ``live`` what the table holds.
    """

    processor: str
    table: str
    key: tuple[str, ...]
    earlier: int
    steps: tuple[Step, ...]
    rows: Rows
    live: Rows
    differs: tuple[str, ...]


def explainable(processors: Mapping[str, type[Processor]]) -> dict[str, DerivedTable]:
    """The processors whose rows can be explained, with the table: it follows from a campaign, and may be shown."""
    found = {
        name: [table for table in derived_tables(processor) if table.sample and table.shown]
        for name, processor in processors.items()
    }
    return {name: tables[0] for name, tables in found.items() if tables}


def explain(settings: Settings, processor: type[Processor], campaign: UUID, *, limit: int = 1_000) -> Explanation:
    """Explain the rows of a campaign in the table of a processor; the last ``limit`` events one by one.

    It needs the rights of the owner, as a verification does. Raises WrongUse for a processor without such a table.
    """
    table = explainable({processor.name: processor}).get(processor.name)
    if table is None:
        raise WrongUse(f"the rows of {processor.name} cannot be explained: none of its tables follows from a campaign")
    branch = processor.database
    log = make_engine("events", settings, pooled=False)
    with (
        Shadow(branch, settings) as shadow,
        log.connect() as stored,
        connect("events", settings=settings, autocommit=True) as events,
        shadow.db.begin() as transaction,
    ):
        shadow.db.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        kept = comparison(shadow.db, shadow.name, processor.name, table)  # its first query makes the snapshot
        if kept is None:
            raise WrongUse(f"the table {table.name} cannot be read, or has no key")
        sample = sample_of(events, [str(campaign)])
        replaying = _Replaying(shadow, stored.execution_options(isolation_level="AUTOCOMMIT"), processor, kept, sample)
        earlier, last = sample.positions[:-limit], sample.positions[-limit:]
        replaying.apply(earlier)
        steps = tuple(replaying.steps(events, last))
        rows, live = replaying.rows(shadow.name), replaying.rows(branch)
        found = differences(shadow.db, kept, shadow=shadow.name, live=branch, sample=sample.rows)
        differs = tuple(finding.what for _, finding in found)
        transaction.rollback()
    return Explanation(processor.name, table.name, kept.key, len(earlier), steps, rows, live, differs)


class _Replaying:
    """Replays events of a sample in the shadow, and reads the rows that they make."""

    def __init__(
        self, shadow: Shadow, log: Connection, processor: type[Processor], kept: Comparison, sample: Sample
    ) -> None:
        self._shadow, self._log, self._processor, self._kept, self._sample = shadow, log, processor, kept, sample
        shown = [column for column in kept.columns if column in kept.shown and column not in kept.table.expressions]
        self._columns = (*kept.key, *shown)

    def apply(self, positions: Sequence[int]) -> int:
        """Replay those of these events that were claimed; how many."""
        if not positions:
            return 0
        return Replay(self._shadow, self._log, self._processor, Findings(), positions).rest()

    def steps(self, events: psycopg.Connection[Any], positions: Sequence[int]) -> Iterator[Step]:
        """Replay event by event, and tell what each changed."""
        known = {row[0]: row for row in events.execute(_EVENTS, {"positions": list(positions)})}
        before = self.rows(self._shadow.name)
        for position in positions:
            applied = self.apply([position]) == 1
            after = self.rows(self._shadow.name) if applied else before
            if position in known:  # else it has been archived meanwhile
                _, id, kind, at = known[position]
                yield Step(position, id, kind, at, applied, _changed(before, after))
            before = after

    def rows(self, schema: str) -> dict[Key, dict[str, str | None]]:
        """The rows of the sample in a schema."""
        kept = self._kept
        sql = _ROWS.format(
            columns=", ".join(map(_quoted, self._columns)), schema=schema, source=_quoted(kept.source),
            where=kept.table.where, sample=kept.table.sample, key=", ".join(map(_quoted, kept.key)),
        )  # fmt: skip
        found: dict[Key, dict[str, str | None]] = {}
        for row in self._shadow.db.exec_driver_sql(sql, self._sample.rows):
            values = [None if value is None else str(value) for value in row]
            key = tuple(str(value) for value in values[: len(kept.key)])
            found[key] = dict(zip(self._columns[len(kept.key) :], values[len(kept.key) :], strict=True))
        return found


def _changed(before: Rows, after: Rows) -> dict[Key, dict[str, tuple[str | None, str | None]]]:
    changed: dict[Key, dict[str, tuple[str | None, str | None]]] = {}
    for key in sorted({*before, *after}):
        was, now = before.get(key, {}), after.get(key, {})
        columns = {name: (was.get(name), now.get(name)) for name in {**was, **now} if was.get(name) != now.get(name)}
        if columns:
            changed[key] = columns
    return changed


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""Rebuilds the rows of one campaign, user or other aggregate alone: compares them, or puts them in their place.

Its events are replayed in a shadow schema, as by a verification. Then one transaction replays what was claimed
meanwhile, under the locks of an exchange where rows are replaced. Nothing is left behind, and nothing has to be
started. How late claims are found without a look at all of them is told in exchanging.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from logging import getLogger
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from psycopg.sql import Identifier
from sqlalchemy import Connection

from fundlyhub.database import connect, is_concurrency_fault, sqlstate
from fundlyhub.database.audited import named
from fundlyhub.database.engines import make_engine
from fundlyhub.errors import Unavailable, WrongState, WrongUse
from fundlyhub.processing.derived_tables import AggregateRows
from fundlyhub.processing.processor import Processor
from fundlyhub.rebuilds import refusals
from fundlyhub.rebuilds.comparing import EXAMPLES, Difference, compared
from fundlyhub.rebuilds.exchanging import LOCK_WAIT, TRIES
from fundlyhub.rebuilds.filling import LOCKED
from fundlyhub.rebuilds.open_positions import Ranges, open_ranges
from fundlyhub.rebuilds.replacing import Replaced, replaced
from fundlyhub.rebuilds.starting import Processors, found
from fundlyhub.rebuilds.tables import lock_all
from fundlyhub.settings import Settings
from fundlyhub.verification.aggregate_events import AggregateEvents
from fundlyhub.verification.findings import Findings
from fundlyhub.verification.tables.check import derived_tables
from fundlyhub.verification.tables.replay import Replay, refuse_lost_claims
from fundlyhub.verification.tables.shadow import Shadow

log = getLogger(__name__)

LONGEST_LOCKED = "2s"
"""Longest statement while the tables are locked: a condition that no index answers is not to hold up a platform."""
_CANCELLED = "57014"
_CLAIMED = """
    SELECT position FROM unnest(%s::bigint[], %s::bigint[]) AS open(low, high) CROSS JOIN LATERAL (
        SELECT position FROM {live}.processed_events
        WHERE processor = %s AND position BETWEEN open.low AND open.high OFFSET 0
    ) AS claim
"""


@dataclass(frozen=True, slots=True)
class Swapped:
    """What became of an aggregate's rows: per table how many were taken away, and how many were put there.

    ``locked`` are the seconds for which the tables were locked, ``events`` those of the aggregate that were replayed.
    """

    processor: str
    aggregate: UUID
    tables: tuple[Replaced, ...]
    events: int
    locked: float
    tries: int


def diff_aggregate(
    settings: Settings, processors: Processors, name: str, aggregate: UUID, *,
    examples: int = EXAMPLES, values: bool = False,
) -> list[Difference]:  # fmt: skip
    """Compare the live rows of one aggregate with those that its events make, as of one moment.

    Raises WrongUse, with the reason, where the processor's rows cannot be rebuilt alone, WrongState and EventsArchived
    as ``start`` does.
    """
    with _opened(settings, processors, name, aggregate) as one:
        return one.differences(examples, values)


def swap_aggregate(settings: Settings, processors: Processors, name: str, aggregate: UUID, *, who: str) -> Swapped:
    """Put the rows that follow from an aggregate's events in the place of its live ones, while all others stay.

    There is nothing to go back to: ``diff_aggregate`` shows before what will change. Raises as that does, and
    Unavailable when a lock is not to be had.

    ::

        from fundlyhub import rebuilds

        rebuilds.swap_aggregate(settings, processors, "campaign_stats", campaign_id, who="ann")
    """
    who = named(who)
    with _opened(settings, processors, name, aggregate) as one:
        done = one.swap()
    log.info("%s put the rows of %s of %s in their place: %s", who, name, aggregate, done.tables)
    return done


T = TypeVar("T")


class _Again(Exception):
    """Claims have come that other events are linked by: these have to be found first."""


class _Places(NamedTuple):
    shadow: Shadow
    stored: Connection
    """For the replay."""
    events: psycopg.Connection[Any]


class _Aggregate:
    def __init__(self, settings: Settings, cls: type[Processor], rows: AggregateRows, id: UUID, at: _Places) -> None:
        self._cls, self._rows, self._id, self._at = cls, rows, id, at
        self._events = AggregateEvents(settings, cls, id)
        self._found = Findings()

    def differences(self, examples: int, values: bool) -> list[Difference]:
        """What a swap would change."""

        def compare(db: psycopg.Connection[Any], ranges: Ranges) -> list[Difference]:
            db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._catch_up(db, ranges)
            shadow, given = self._at.shadow, self._given()
            tables = [replace(table, sample=self._condition(table.name)) for table in derived_tables(self._cls)]
            return [compared(shadow, self._cls, table, examples, values, given) for table in tables]

        return self._tried(compare)[0]

    def swap(self) -> Swapped:
        """Replace the rows."""
        began = 0.0

        def put(db: psycopg.Connection[Any], ranges: Ranges) -> list[Replaced]:
            nonlocal began
            live, given = self._at.shadow.branch, self._given()
            conditions = {**self._own_rows(), **self._rows.waiting}
            began = time.monotonic()
            lock_all(db, [Identifier(live, name) for name in sorted(conditions)], LOCK_WAIT)
            db.execute(f"SET LOCAL statement_timeout = '{LONGEST_LOCKED}'")
            self._at.shadow.locked = True
            try:
                self._catch_up(db, ranges)
            finally:
                self._at.shadow.locked = False
            given = self._given()
            self._refuse_waiting(db, given)
            done = [replaced(db, live, self._at.shadow.name, name, one, given) for name, one in conditions.items()]
            self._cls.exchanged(self._at.shadow.db)
            return done

        tables, tries = self._tried(put)
        locked = time.monotonic() - began
        return Swapped(self._cls.name, self._id, tuple(tables), len(self._events.positions), locked, tries)

    def _tried(self, work: Callable[[psycopg.Connection[Any], Ranges], T]) -> tuple[T, int]:
        """Do this with all that was claimed until then, in a transaction; again when it collides, or lacks events."""
        ranges: Ranges | None = None
        for attempt in range(1, TRIES + 1):
            try:
                ranges = self._prepared(ranges)
                self._refuse_findings()
                with self._transaction() as db:
                    return work(db, ranges), attempt
            except _Again:
                ranges = None
            except Exception as error:
                if sqlstate(error) == _CANCELLED:
                    raise self._too_slow() from None
                if not (is_concurrency_fault(error) or sqlstate(error) == LOCKED):
                    raise
                time.sleep(random.uniform(0.1, 0.5))
        raise Unavailable(
            f"the tables of {self._cls.name} are in use: no lock was to be had in {TRIES} tries of {LOCK_WAIT:g} s, or "
            "its events kept coming; nothing has changed, try again"
        )

    def _prepared(self, before: Ranges | None) -> Ranges:
        """Replay what was claimed until now; the positions at which a claim may have come since.

        They are found first, so that no claim falls between the two.
        """
        with self._transaction() as db:
            ranges = open_ranges(db, self._at.stored, self._at.shadow.branch, self._cls)
        if before is None:
            self._events.find()
            self._replay(sorted(self._events.positions))
        else:
            with self._transaction() as db:
                self._catch_up(db, before)
        return ranges

    def _catch_up(self, db: psycopg.Connection[Any], ranges: Ranges) -> None:
        """Replay, in this transaction, what has been claimed in these ranges of the aggregate's events."""
        lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
        sql = _CLAIMED.format(live=self._at.shadow.branch)
        claimed = [at for (at,) in db.execute(sql, (lows, highs, self._cls.name))]
        late = self._events.late(self._at.events, claimed)
        if late is None:
            raise _Again
        if late:
            self._replayer(late).rest()
        refuse_lost_claims(self._at.shadow)
        self._refuse_findings()

    def _replay(self, positions: list[int]) -> None:
        """Page by page, each with its transaction."""
        replayer, after = self._replayer(positions), 0
        while True:
            with self._transaction():
                claims = replayer.page(after)
            if not claims:
                return
            after = claims[-1].position

    def _replayer(self, positions: list[int]) -> Replay:
        return Replay(self._at.shadow, self._at.stored, self._cls, self._found, positions, whole=True)

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        with self._at.shadow.db.begin():
            yield self._at.shadow.driver

    def _own_rows(self) -> dict[str, str]:
        """Conditions on the aggregate's rows, in tables to which others may write as well."""
        tables = derived_tables(self._cls)
        return {one.name: f"({self._rows.rows[one.name]}) AND ({one.where})" for one in tables}

    def _condition(self, table: str) -> str:
        return self._rows.rows[table]

    def _given(self) -> Mapping[str, Any]:
        return self._events.rows

    def _refuse_findings(self) -> None:
        if self._found.listed:
            first = self._found.listed[0]
            raise WrongState(
                f"an event of {self._id} cannot be applied, at position {first.position}: {first.what}. "
                "Nothing has changed"
            )

    def _refuse_waiting(self, db: psycopg.Connection[Any], given: Mapping[str, Any]) -> None:
        for table, condition in self._rows.waiting.items():
            sql = f"SELECT EXISTS (SELECT FROM {self._at.shadow.name}.{table} WHERE {condition})"  # noqa: S608
            if (db.execute(sql, given).fetchone() or (False,))[0]:
                raise WrongState(f"something waits in {table} after the replay: rebuild all of {self._cls.name}")

    def _too_slow(self) -> Unavailable:
        return Unavailable(
            f"the rows of {self._id} could not be replaced in {LONGEST_LOCKED} per table: rebuild all of "
            f"{self._cls.name} (`fundlyhub rebuild start {self._cls.name}`); nothing has changed"
        )


@contextmanager
def _opened(settings: Settings, processors: Processors, name: str, id: UUID) -> Iterator[_Aggregate]:
    cls = found(processors, name)
    tables = refusals.replaced_tables(cls, processors)
    rows = cls.aggregate_rows
    if rows is None:
        able = ", ".join(sorted(one for one, other in processors.items() if other.aggregate_rows)) or "none"
        raise WrongUse(
            f"{name} cannot be rebuilt for one aggregate alone: it does not say which of its rows follow from one "
            f"(`aggregate_rows`); these do: {able}"
        )
    with (
        connect("events", settings=settings, autocommit=True) as events,
        connect(cls.database, settings=settings, autocommit=True) as db,
    ):
        refusals.refuse_archived(events, cls)
        refusals.refuse_dropped(db, cls.database)
        refusals.refuse_obstacles(db, cls.database, tables)
        stored = make_engine("events", settings, pooled=False)
        with Shadow(cls.database, settings) as shadow, stored.connect() as reading:
            at = _Places(shadow, reading.execution_options(isolation_level="AUTOCOMMIT"), events)
            yield _Aggregate(settings, cls, rows, id, at)

"""A rebuild as it stands in the database of its tables, and what can be read of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg

from fundlyhub.database import connect
from fundlyhub.database.rebuilt import LOCK_CLASS
from fundlyhub.errors import WrongState
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Branch, Settings

State = Literal["running", "swapped", "undone", "dropped"]
"""``running``: it is being filled, or keeps up with the log. ``swapped``: its tables are the live ones, and its schema
has the former ones. ``undone``: the former ones are live again. ``dropped``: its schema is gone."""
LISTED = 100
"""Findings that are read of one rebuild at most."""

_COLUMNS = "id, processor, schema_name, tables, state, up_to, rate, who, started_at, filled_at, swapped_at, ended_at"
_ONE = "SELECT {columns} FROM {live}.rebuilds WHERE processor = %(processor)s {more} ORDER BY id DESC LIMIT 1"
_ALL = "SELECT {columns} FROM {live}.rebuilds {more} ORDER BY id DESC LIMIT %(limit)s"
_PROGRESS = """
    SELECT coalesce(sum(after - low + 1), 0)::bigint, coalesce(sum(high - low + 1), 0)::bigint,
           coalesce(bool_and(done), true),
           extract(epoch FROM coalesce(%(filled)s::timestamptz, clock_timestamp()) - %(started)s::timestamptz)::float
    FROM {live}.rebuild_ranges WHERE rebuild_id = %(id)s
"""
_COUNTS = """
    SELECT (SELECT count(*) FROM {live}.processed_events WHERE processor = %(processor)s),
           (SELECT count(*) FROM {schema}.processed_events WHERE processor = %(processor)s)
"""
_FINDINGS = """
    SELECT position, event_id, what, count(*) OVER () FROM {live}.rebuild_findings
    WHERE rebuild_id = %(id)s ORDER BY position LIMIT %(limit)s
"""
_HOLD = "SELECT pg_advisory_xact_lock(%s, %s)"


@dataclass(frozen=True, slots=True)
class Rebuild:
    """One rebuild. ``up_to`` is the head of the log when it began; ``rate`` is in events per second."""

    branch: Branch
    id: int
    processor: str
    schema: str
    tables: tuple[str, ...]
    state: State
    up_to: int
    rate: int | None
    who: str
    started_at: datetime
    filled_at: datetime | None
    swapped_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unapplied:
    """An event that the replay could not apply, and why."""

    position: int
    event_id: UUID
    what: str


@dataclass(frozen=True, slots=True)
class Status:
    """How far a rebuild is. Positions are those of its first pass; ``behind`` are claims that it has not replayed."""

    rebuild: Rebuild
    phase: str
    """``filling``, ``following``, or the state."""
    positions: int
    of: int
    claims: int
    behind: int
    seconds: float
    findings: int
    listed: tuple[Unapplied, ...]

    @property
    def per_second(self) -> float:
        """Events that were replayed in a second, over the whole of the first pass."""
        return self.claims / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate of when the first pass ends; None when nothing tells."""
        if self.phase != "filling" or not self.positions:
            return None
        return self.seconds * (self.of - self.positions) / self.positions

    def document(self) -> dict[str, Any]:
        """As one JSON document."""
        known = {**asdict(self.rebuild), "tables": list(self.rebuild.tables)}
        rest = {name: value for name, value in asdict(self).items() if name not in ("rebuild", "listed", "findings")}
        return {
            **known, **rest, "per_second": round(self.per_second, 1), "seconds_left": self.seconds_left,
            "findings": [asdict(one) for one in self.listed], "findings_total": self.findings,
        }  # fmt: skip


def newest(
    db: psycopg.Connection[Any], branch: Branch, processor: str, states: Iterable[State] = ("running",)
) -> Rebuild | None:
    """The newest rebuild of a processor in one of these states."""
    sql = _ONE.format(live=branch, columns=_COLUMNS, more="AND state = ANY (%(states)s)")
    row = db.execute(sql, {"processor": processor, "states": list(states)}).fetchone()
    return _rebuild(branch, row) if row else None


def hold(db: psycopg.Connection[Any], one: Rebuild) -> None:
    """Keep a rebuild to ourselves until the transaction ends: from what fills, exchanges or drops it.

    Raises WrongState where another command was quicker, and it is not in its state any more.
    """
    db.execute(_HOLD, (LOCK_CLASS, one.id))
    now = newest(db, one.branch, one.processor, (one.state,))
    if now is None or now.id != one.id:
        raise WrongState(f"the rebuild of {one.processor} was exchanged or ended meanwhile: `fundlyhub rebuild list`")


def kept(db: psycopg.Connection[Any], branch: Branch, *, limit: int = 1_000, dropped: bool = False) -> list[Rebuild]:
    """The rebuilds of a database, the newest first; those that were dropped only if asked for."""
    sql = _ALL.format(live=branch, columns=_COLUMNS, more="" if dropped else "WHERE state <> 'dropped'")
    return [_rebuild(branch, row) for row in db.execute(sql, {"limit": limit})]


def status_of(db: psycopg.Connection[Any], one: Rebuild) -> Status:
    """How far a rebuild is."""
    given = {
        "id": one.id,
        "processor": one.processor,
        "limit": LISTED,
        "filled": one.filled_at,
        "started": one.started_at,
    }
    with db.transaction():
        done, of, filled, seconds = db.execute(_PROGRESS.format(live=one.branch), given).fetchone() or (0, 0, True, 0.0)
        live, replayed = 0, 0
        if one.state != "dropped":
            counts = _COUNTS.format(live=one.branch, schema=one.schema)
            live, replayed = db.execute(counts, given).fetchone() or (0, 0)
        rows = db.execute(_FINDINGS.format(live=one.branch), given).fetchall()
    phase = ("following" if filled else "filling") if one.state == "running" else one.state
    return Status(
        one, phase, done, of, replayed, max(0, live - replayed), float(seconds), rows[0][3] if rows else 0,
        tuple(Unapplied(position, event_id, what) for position, event_id, what, _ in rows),
    )  # fmt: skip


def branches(processors: Mapping[str, type[Processor]]) -> list[Branch]:
    """The databases that have tables of these processors."""
    return sorted({cls.database for cls in processors.values() if cls.tables})


def opened(settings: Settings, some: Iterable[Branch]) -> Iterator[tuple[Branch, psycopg.Connection[Any]]]:
    """An autocommit connection to each of these databases, one after the other."""
    for branch in some:
        with ExitStack() as stack:
            yield branch, stack.enter_context(connect(branch, settings=settings, autocommit=True))


def _rebuild(branch: Branch, row: tuple[Any, ...]) -> Rebuild:
    number, processor, schema, tables, *rest = row
    return Rebuild(branch, number, processor, schema, tuple(tables), *rest)

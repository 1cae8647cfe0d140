"""Puts rebuilt tables in the place of the live ones, and back: one short transaction.

What takes long comes before the lock: indexes are built, claims are replayed, and the positions are found at which a
claim may still come. Under the lock only those are looked at. A transaction that has touched one of the tables ends
before the lock is given; one that waits for it finds the new table by its name, and its claim is replayed by nobody.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection

from fundlyhub.database import connect, is_concurrency_fault, sqlstate
from fundlyhub.database.audited import named
from fundlyhub.database.rebuilt import LOCK_CLASS
from fundlyhub.errors import Unavailable, WrongState
from fundlyhub.processing.processor import Processor
from fundlyhub.rebuilds import refusals, tables
from fundlyhub.rebuilds.filling import LOCKED, replay
from fundlyhub.rebuilds.model import Rebuild, State, hold, kept, newest
from fundlyhub.rebuilds.open_positions import open_ranges
from fundlyhub.rebuilds.schema import OpenSchema, connected
from fundlyhub.rebuilds.starting import Processors, dropped, found
from fundlyhub.settings import Settings
from fundlyhub.verification.tables.replay import refuse_lost_claims

TRIES = 20
"""Tries for the locks: a long query may hold one of them for a while."""
LOCK_WAIT = 0.8
"""Seconds that a try waits for all locks together. What comes meanwhile waits behind it, and for less than a second."""
REST = "1s"
"""How long it waits for anything else that is locked."""

# A newer rebuild may be swapped while an older one is undone: the one that comes second finds out.
_ONE_BY_ONE = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
EXCHANGE_CLASS = LOCK_CLASS + 2
_FINDINGS = "SELECT count(*) FROM {live}.rebuild_findings WHERE rebuild_id = %s"
_IS_OPEN = "SELECT EXISTS (SELECT FROM {live}.rebuild_ranges WHERE rebuild_id = %s AND NOT done)"
_SWAPPED = """
    UPDATE {live}.rebuilds SET state = 'swapped', swapped_at = clock_timestamp(), swapped_by = %s WHERE id = %s
"""
_UNDONE = "UPDATE {live}.rebuilds SET state = 'undone', ended_at = clock_timestamp(), ended_by = %s WHERE id = %s"

Tell = Callable[[str, int, int], None]


def _silent(what: str, done: int, total: int, /) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What an exchange did, and the rebuild as it was before.

    ``locked`` are the seconds for which the tables were locked; ``tries`` wanted the locks.
    """

    rebuild: Rebuild
    replayed: int
    under_lock: int
    locked: float
    tries: int
    indexes: int

    @property
    def sentence(self) -> str:
        """What was done, for people."""
        what = "are those of the rebuild" if self.rebuild.state == "running" else "are the former ones again"
        return (
            f"The live tables of {self.rebuild.processor} {what}. They were locked for {self.locked * 1_000:,.0f} ms; "
            f"{self.replayed:,} claims were replayed before, and {self.under_lock:,} meanwhile."
        )

    def document(self) -> dict[str, Any]:
        """As one JSON document."""
        return {
            **asdict(self.rebuild), "replayed": self.replayed, "under_lock": self.under_lock,
            "locked_ms": round(self.locked * 1_000, 1), "tries": self.tries, "indexes": self.indexes,
        }  # fmt: skip


def swap(
    settings: Settings,
    processors: Processors,
    name: str,
    *,
    who: str,
    despite_findings: bool = False,
    tell: Tell = _silent,
) -> Exchanged:
    """Put the rebuilt tables of a processor in the place of the live ones, which are kept for ``undo``.

    Raises WrongState while it is being filled, where events could not be applied (unless ``despite_findings``), and
    where its tables have changed meanwhile; Unavailable when a lock is not to be had. Then nothing has changed.
    """
    return _Exchange(settings, processors, found(processors, name), who, despite_findings, tell).run("running")


def undo(
    settings: Settings,
    processors: Processors,
    name: str,
    *,
    who: str,
    despite_findings: bool = False,
    tell: Tell = _silent,
) -> Exchanged:
    """Put the former tables back in their place, with what was claimed since. Raises as ``swap`` does."""
    return _Exchange(settings, processors, found(processors, name), who, despite_findings, tell).run("swapped")


class _Exchange:
    def __init__(
        self, settings: Settings, processors: Processors, cls: type[Processor], who: str, despite: bool, tell: Tell
    ) -> None:
        self._settings, self._processors, self._cls = settings, processors, cls
        self._who, self._despite, self._tell = named(who), despite, tell
        self._replayed = self._under_lock = 0

    def run(self, state: State) -> Exchanged:
        refusals.exchanged_tables(self._cls, self._processors)
        with connected(self._settings, self._cls.database) as (db, events):
            one = self._ready(state)
            beside = OpenSchema(one, db)
            self._tell("building indexes", 0, 0)
            with beside.transaction() as driver:
                driver.execute("SET LOCAL statement_timeout = 0")
                hold(driver, one)
                indexes = tables.build_indexes(driver, one)
            for attempt in range(1, TRIES + 1):
                with beside.transaction() as driver:
                    driver.execute("SET LOCAL statement_timeout = 0")
                    open_ones = open_ranges(driver, events, one.branch, self._cls)
                self._catch_up(beside, events, one)
                self._refuse_findings(beside, one)
                self._tell("waiting for the locks", attempt, TRIES)
                try:
                    locked = self._exchange(beside, events, one, state, open_ones)
                except Exception as error:
                    if not (is_concurrency_fault(error) or sqlstate(error) == LOCKED):
                        raise
                    time.sleep(random.uniform(0.1, 0.5))
                    continue
                if state == "running":
                    self._drop_older(one)
                return Exchanged(one, self._replayed, self._under_lock, locked, attempt, indexes)
        raise Unavailable(
            f"the tables of {self._cls.name} are in use: no lock was to be had in {TRIES} tries of {LOCK_WAIT:g} s. "
            "End what reads them for so long, and try again; nothing has changed"
        )

    def _ready(self, state: State) -> Rebuild:
        """The rebuild, which is there and may be exchanged."""
        cls, settings = self._cls, self._settings
        with connect(cls.database, settings=settings, autocommit=True) as db:
            one = newest(db, cls.database, cls.name, (state,))
            if one is None:
                what = "is not being rebuilt" if state == "running" else "has no former tables to go back to"
                raise WrongState(f"{cls.name} {what}: see `fundlyhub rebuild list`")
            if _value(db, _IS_OPEN.format(live=one.branch), one.id) and state == "running":
                raise WrongState(f"{cls.name} is being filled: see `fundlyhub rebuild status {cls.name}`")
            refusals.refuse_dropped(db, one.branch)
            refusals.refuse_obstacles(db, one.branch, one.tables)
        return one

    def _catch_up(self, beside: OpenSchema, events: Connection, one: Rebuild) -> None:
        """Replay all claims that were not, page by page."""
        after = 0
        while True:
            with beside.transaction() as driver:
                driver.execute("SET LOCAL statement_timeout = 0")
                hold(driver, one)
                claims = replay(driver, beside, events, self._cls, one, after)
            if not claims:
                break
            after, self._replayed = claims[-1].position, self._replayed + len(claims)
            self._tell("catching up", self._replayed, 0)
        with beside.transaction() as driver:
            driver.execute("SET LOCAL statement_timeout = 0")
            refuse_lost_claims(beside)

    def _refuse_findings(self, beside: OpenSchema, one: Rebuild) -> None:
        with beside.transaction() as driver:
            self._refuse(driver, one)

    def _refuse(self, db: psycopg.Connection[Any], one: Rebuild) -> None:
        found = _value(db, _FINDINGS.format(live=one.branch), one.id)
        if found and not self._despite:
            raise WrongState(
                f"{found:,} claimed events could not be applied: see `fundlyhub rebuild status {one.processor}`; "
                "with --despite-findings the tables are exchanged without them"
            )

    def _exchange(
        self, beside: OpenSchema, events: Connection, one: Rebuild, state: State, open_ones: list[tuple[int, int]]
    ) -> float:
        """The transaction; the seconds for which it held the locks."""
        with beside.transaction() as driver:
            driver.execute(f"SET LOCAL lock_timeout = '{REST}'")
            driver.execute(_ONE_BY_ONE, (EXCHANGE_CLASS, one.processor))
            hold(driver, one)
            if changed := tables.changed_shapes(driver, one):
                raise WrongState(f"{', '.join(changed)} changed since the rebuild began: cancel it, and begin anew")
            driver.execute("SET LOCAL jit = off")  # compiling would take longer than looking
            began = time.monotonic()
            tables.lock(driver, one, LOCK_WAIT)
            driver.execute(f"SET LOCAL lock_timeout = '{REST}'")
            beside.locked, after, number = True, 0, 0
            try:
                while claims := replay(driver, beside, events, self._cls, one, after, within=open_ones):
                    after, number = claims[-1].position, number + len(claims)
            finally:
                beside.locked = False
            if number:
                self._refuse(driver, one)
            tables.exchange(driver, one)
            self._cls.exchanged(beside.db)
            sql = _SWAPPED if state == "running" else _UNDONE
            driver.execute(sql.format(live=one.branch), (self._who, one.id))
            self._under_lock = number
        return time.monotonic() - began

    def _drop_older(self, one: Rebuild) -> None:
        """Former tables are kept for one generation; those that are in use, until the next swap or `prune`."""
        with suppress(Unavailable), connect(one.branch, settings=self._settings, autocommit=True) as db:
            for other in kept(db, one.branch):
                if other.processor == one.processor and other.id != one.id:
                    dropped(db, other, self._who, ("swapped", "undone"))


def _value(db: psycopg.Connection[Any], sql: str, *given: Any) -> Any:
    row = db.execute(sql, given).fetchone()
    return row[0] if row else None

"""Compares the tables of one database with what a replay of the log makes.

Most claims are replayed in short transactions, while workers go on. Then one transaction sees claims and tables at
one moment; it replays what has come meanwhile, and compares. A claim and its effect commit together, so that what
it sees is equal, however busy the platform is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from fundlyhub.database.engines import make_engine
from fundlyhub.events.log import head
from fundlyhub.processing import DerivedTable
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Branch
from fundlyhub.verification.findings import Finding, Report, Tell
from fundlyhub.verification.scope import Places, Scope
from fundlyhub.verification.tables import comparing, totals
from fundlyhub.verification.tables.columns import Comparison, comparison
from fundlyhub.verification.tables.replay import Replay, refuse_lost_claims
from fundlyhub.verification.tables.sample import Sample
from fundlyhub.verification.tables.shadow import Shadow

ROUNDS = 2
"""Passes over the claims before the last one, which holds a snapshot: it should find little."""

_COUNT = "SELECT count(*) FROM {live}.processed_events WHERE processor = ANY (%(processors)s::text[])"


def derived_tables(processor: type[Processor]) -> list[DerivedTable]:
    """The tables that a processor names."""
    return [DerivedTable(table) if isinstance(table, str) else table for table in processor.tables]


class Tables:
    """Compares the tables of one database; of a ``sample``, those that can be restricted to it."""

    def __init__(
        self, scope: Scope, places: Places, branch: Branch, sample: Sample | None, report: Report, tell: Tell
    ) -> None:
        self._scope, self._places, self._branch, self._sample = scope, places, branch, sample
        self._report, self._tell = report, tell
        self._done = 0
        here = {name: cls for name, cls in scope.processors.items() if cls.database == branch}
        self._tables = [
            (name, table)
            for name, cls in here.items()
            for table in derived_tables(cls)
            if sample is None or table.sample
        ]
        self._names = sorted({name for name, _ in self._tables})

    def check(self) -> None:
        """Replay and compare. Raises Unavailable when claims went away meanwhile."""
        if not self._tables:
            return
        log = make_engine("events", self._scope.settings, pooled=False)
        with Shadow(self._branch, self._scope.settings) as shadow, log.connect() as db:
            self._compare(shadow, db.execution_options(isolation_level="AUTOCOMMIT"))

    def _compare(self, shadow: Shadow, log: Connection) -> None:
        replays = [self._replay(shadow, log, name) for name in self._names]
        for _ in range(ROUNDS):
            self._replay_most(shadow, replays)
        shadow.analyze()
        with shadow.db.begin() as transaction:
            shadow.db.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._report.checked["claims replayed"] += sum(replay.rest() for replay in replays)
            refuse_lost_claims(shadow)
            rows = None if self._sample is None else self._sample.rows
            for done, kept in enumerate(self._comparisons(shadow)):
                self._tell(f"comparing the tables of the {self._branch} database", done, len(self._tables))
                self._add(comparing.differences(shadow.db, kept, shadow=shadow.name, live=self._branch, sample=rows))
            if totals.PROCESSOR in self._names:
                self._add(totals.differences(shadow.db, self._branch, self._sample))
            self._report.checked["tables"] += len(self._tables)
            transaction.rollback()

    def _comparisons(self, shadow: Shadow) -> Iterator[Comparison]:
        """How each table is compared; one that cannot be is a finding."""
        for name, table in self._tables:
            if found := comparison(shadow.db, shadow.name, name, table):
                yield found
            else:
                what = f"its table {table.name} cannot be read, or has no key: make it, or correct `tables`"
                self._report.findings.add(Finding("missing", name, what, table=table.name))

    def _replay(self, shadow: Shadow, log: Connection, name: str) -> Replay:
        only, note = None if self._sample is None else self._sample.positions, None
        if name == totals.PROCESSOR:
            note = totals.note
            with shadow.db.begin():
                totals.prepare(shadow.db)
        return Replay(shadow, log, self._scope.processors[name], self._report.findings, only, note)

    def _replay_most(self, shadow: Shadow, replays: Sequence[Replay]) -> None:
        """One pass, page by page, each with its transaction; what comes while it runs is left to the next."""
        with shadow.db.begin():
            sql = _COUNT.format(live=self._branch)
            total = shadow.db.exec_driver_sql(sql, {"processors": self._names}).scalar_one()
        for replay in replays:
            after, last = 0, head(self._places.events)
            while after < last:
                with shadow.db.begin():
                    claims = replay.page(after)
                if not claims:
                    break
                after = claims[-1].position
                self._report.checked["claims replayed"] += len(claims)
                self._done += len(claims)
                self._tell(f"replaying the claims of the {self._branch} database", min(self._done, total), total)

    def _add(self, differences: Iterable[tuple[int, Finding]]) -> None:
        """The first ones are listed; the others are counted as different."""
        listed = total = 0
        for total, finding in differences:  # noqa: B007  # the same number each time
            self._report.findings.add(finding)
            listed += 1
        self._report.findings.count("different", total - listed)

"""Compares rebuilt tables with the live ones: what an exchange would add, take away and change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from fundlyhub.database import connect, disclosed
from fundlyhub.errors import WrongState
from fundlyhub.processing import DerivedTable
from fundlyhub.processing.processor import Processor
from fundlyhub.rebuilds.filling import replay
from fundlyhub.rebuilds.model import Rebuild, hold, newest
from fundlyhub.rebuilds.schema import OpenSchema, connected
from fundlyhub.rebuilds.starting import Processors, found
from fundlyhub.settings import Settings
from fundlyhub.verification.findings import Finding
from fundlyhub.verification.tables.check import derived_tables
from fundlyhub.verification.tables.columns import comparison
from fundlyhub.verification.tables.comparing import counts, differences
from fundlyhub.verification.tables.shadow import Beside

EXAMPLES = 20
"""Rows of one table that are shown at most."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What an exchange would change in one table: numbers of rows, and some of them.

    The ``expected`` of an example is the rebuilt row, and its ``found`` the live one.
    """

    table: str
    added: int
    gone: int
    changed: int
    examples: tuple[Finding, ...]

    def document(self) -> dict[str, Any]:
        """As one JSON document."""
        words = {"missing": "added", "double": "gone", "different": "changed"}
        rows = [
            {"kind": words[one.kind], "key": dict(one.key or {}), "columns": list(one.columns),
             "rebuilt": one.expected, "live": one.found}
            for one in self.examples
        ]  # fmt: skip
        return {**{name: value for name, value in asdict(self).items() if name != "examples"}, "examples": rows}


def note_values(db: Connection, name: str, *, who: str, command: str = "rebuild diff", reason: str = "") -> None:
    """Note in the audit who is shown the values of a processor's tables, before they are. ``db`` is the Events DB's."""
    what = f"values of the tables of {name}"
    disclosed.note(db, who=who, command=command, what=f"{what}: {reason}" if reason else what)


def diff(
    settings: Settings, processors: Processors, name: str, *, examples: int = EXAMPLES, values: bool = False
) -> list[Difference]:
    """Compare each table of a rebuild that is running with the live one, as of one moment.

    Examples show ids and whole numbers; with ``values`` all that differs, which may be data about people. Raises
    WrongState where there is no such rebuild, or where it is far behind.
    """
    cls = found(processors, name)
    with connected(settings, cls.database) as (db, events):
        with OpenSchema.bare(db) as driver:
            one = newest(driver, cls.database, name)
        if one is None:
            raise WrongState(f"{name} is not being rebuilt: `fundlyhub rebuild start {name}`")
        beside = OpenSchema(one, db)
        _replay(beside, events, one, cls)
        # Before the snapshot, so by another connection; not by its session, which a pooler may not keep.
        with connect(cls.database, settings=settings) as keeper:
            keeper.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            hold(keeper, one)
            return _compared(beside, events, one, cls, examples, values)


def _compared(
    beside: OpenSchema, events: Connection, one: Rebuild, cls: type[Processor], examples: int, values: bool
) -> list[Difference]:
    with beside.transaction(of_one_moment=True) as driver:
        driver.execute("SET LOCAL statement_timeout = 0")
        after = 0
        while claims := replay(driver, beside, events, cls, one, after):
            after = claims[-1].position
        return [compared(beside, cls, table, examples, values) for table in derived_tables(cls)]


def _replay(beside: OpenSchema, events: Connection, one: Rebuild, cls: type[Processor]) -> None:
    """All that was claimed until now, page by page, so that little is left to the transaction that compares."""
    after = 0
    while True:
        with beside.transaction() as driver:
            driver.execute("SET LOCAL statement_timeout = 0")
            hold(driver, one)
            claims = replay(driver, beside, events, cls, one, after)
        if not claims:
            return
        after = claims[-1].position


def compared(
    beside: Beside,
    cls: type[Processor],
    table: DerivedTable,
    examples: int,
    values: bool,
    sample: Mapping[str, Any] | None = None,
) -> Difference:
    """How a table beside the live one differs from it, in the rows of its ``sample`` if one is given."""
    kept = comparison(beside.db, beside.name, cls.name, table)
    if kept is None:
        raise WrongState(f"the table {table.name} has no key: name one in `tables` (DerivedTable)")
    if values:
        kept = kept._replace(shown=frozenset(kept.columns))
    sides: dict[str, Any] = {"shadow": beside.name, "live": beside.branch, "sample": sample}
    added, gone, changed = counts(beside.db, kept, **sides)
    some = differences(beside.db, kept, limit=examples, **sides) if examples else ()
    return Difference(table.name, added, gone, changed, tuple(finding for _, finding in some))

"""One proof for every convergent processor: any order, duplication, split and company ends in the same rows.

``assert_converges`` is that proof as one call; the parts are for tests that look closer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Barrier
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from fundlyhub import Event
from fundlyhub.database import get_engine
from fundlyhub.events import Payload
from fundlyhub.processing import DerivedTable
from fundlyhub.processing.processor import Processor
from fundlyhub.testing.waiting import wait_until

START = datetime(2026, 1, 1, tzinfo=UTC)

Rows = list[tuple[Any, ...]]
Delivered = tuple[list[Event], list[list[Event]]]
"""A log, and the batches that its events come in."""


@dataclass(frozen=True)
class Subject:
    """A processor, and all tables that it writes; or some columns of one, as a query in brackets."""

    processor: type[Processor]
    tables: Sequence[str]
    engine: Engine
    emptied: Sequence[str] = ()
    """The tables that are emptied, where those of above do not say it."""
    order: str = "stored"
    """What rows are sorted by; as text where a column's type has no order."""

    def apply(self, batch: Sequence[Event]) -> None:
        """One batch in one transaction; a deadlock would raise."""
        with self.engine.begin() as db:
            self.processor().handle_batch(batch, db)

    def stored(self) -> dict[str, Rows]:
        """Every row of every table."""
        return stored(self.engine, self.tables, self.order)

    def empty(self) -> None:
        """Forget all."""
        with self.engine.begin() as db:
            for name in self.emptied or [one.rpartition("FROM ")[2].strip("()") for one in self.tables]:
                db.exec_driver_sql(f"DELETE FROM {name}")


def stored(engine: Engine, tables: Iterable[str], order: str = "stored") -> dict[str, Rows]:
    """Every row of these tables."""
    every = "SELECT stored.* FROM {} AS stored ORDER BY {}"
    with engine.begin() as db:
        return {name: [tuple(row) for row in db.exec_driver_sql(every.format(name, order))] for name in tables}


def logged(payloads: Sequence[Payload], random: Random) -> list[Event]:
    """The events of these payloads, at times that do not follow the positions; some share their time."""
    return [
        Event.of(payload, timestamp=START + timedelta(minutes=random.randrange(1000) // 3 * 3)).model_copy(
            update={"position": position}
        )
        for position, payload in enumerate(payloads, 1)
    ]


@st.composite
def deliveries(draw: st.DrawFn, payloads: st.SearchStrategy[Payload], most: int = 14) -> Delivered:
    """A log of events, and the batches that they come in: shuffled, each event at least once."""
    log = logged(draw(st.lists(payloads, min_size=1, max_size=most)), draw(st.randoms(use_true_random=False)))
    again = draw(st.lists(st.sampled_from(log), max_size=6))
    order = draw(st.permutations(log + again))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1)), max_size=5)))
    return log, [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


def in_order_and_as_delivered(subject: Subject, delivered: Delivered) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """The rows after the log was applied event by event in its order, and those after the batches."""
    log, batches = delivered
    try:
        for event in log:
            subject.apply([event])
        in_order = subject.stored()
        subject.empty()
        for batch in batches:
            subject.apply(batch)
        return in_order, subject.stored()
    finally:
        subject.empty()


def at_once_and_alone(
    subject: Subject, log: Sequence[Event], random: Random, check: Callable[[], None] = lambda: None
) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """The rows after six threads at once brought each event twice, in other orders; and those after one batch.

    ``check`` looks at the tables in between.
    """
    threads = 6
    ready = Barrier(threads)

    def deliver(order: list[Event]) -> None:
        ready.wait(30)
        sizes, start = Random(len(order)), 0
        while start < len(order):  # large ones for locks in circles, small ones for what is read beside a neighbour
            size = sizes.choice((1, 2, 40))
            subject.apply(order[start : start + size])
            start += size

    orders: list[list[Event]] = [[] for _ in range(threads)]
    for event in log:
        for order in random.sample(orders, 2):
            order.append(event)
    for order in orders:
        random.shuffle(order)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(deliver, orders))
    at_once = subject.stored()
    check()
    subject.empty()
    subject.apply(log)
    return at_once, subject.stored()


def overlapping(subject: Subject, first: Sequence[Event], second: Sequence[Event]) -> dict[str, Rows]:
    """The rows after ``second`` was applied beside ``first``, whose transaction ends only when it must."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as pool, subject.engine.connect() as one:
        with one.begin():
            subject.processor().handle_batch(first, one)
            other = pool.submit(subject.apply, second)

            def met() -> bool:
                with subject.engine.connect() as looking:
                    return other.done() or looking.exec_driver_sql(waiting).scalar_one() > 0

            wait_until(met, what="the second transaction")
        other.result(30)
    return subject.stored()


def subject_of(processor: type[Processor]) -> Subject:
    """A processor with the tables that it names, without the columns that it says do not follow from the events."""
    engine = get_engine(processor.database)
    compared = [_compared(engine, one) for one in processor.tables]
    tables = (*processor.tables, *processor.working_tables)
    emptied = [f'"{one if isinstance(one, str) else one.name}"' for one in tables]
    return Subject(processor, compared, engine, emptied, "stored::text")


def _compared(engine: Engine, table: DerivedTable | str) -> str:
    """A table's name; as a query in brackets where some of its columns are not compared."""
    if isinstance(table, str) or not (table.ignored or table.where != "true"):
        return f'"{table if isinstance(table, str) else table.name}"'
    with engine.connect() as db:
        columns = db.exec_driver_sql(_COLUMNS, {"table": table.name, "ignored": list(table.ignored)}).scalars().all()
    listed = ", ".join(f'"{column}"' for column in columns)
    return f'(SELECT {listed} FROM "{table.name}" WHERE {table.where.replace("%%", "%")})'


_COLUMNS = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = to_regclass(quote_ident(%(table)s)) AND attnum > 0 AND NOT attisdropped
      AND attname <> ALL (%(ignored)s::text[])
    ORDER BY attnum
"""


def assert_converges(
    processor: type[Processor], payloads: st.SearchStrategy[Payload], *, examples: int = 100, most: int = 14,
    subject: Subject | None = None,
) -> None:  # fmt: skip
    """Prove that any order, batching and repetition of events ends in the rows of the ordered run.

    ``payloads`` is a strategy for payloads of the types that the processor handles: of few things, so that events
    meet. ``examples`` logs of at most ``most`` events are tried, each in a transaction per batch; the tables that the
    processor names are compared, and are empty afterwards. Raises AssertionError with the smallest log that
    hypothesis finds.

    ::

        from hypothesis import strategies as st

        from fundlyhub.testing import assert_converges, build

        def test_any_order_ends_the_same(fundlyhub_settings):
            amounts = st.decimals(1, 9, places=2)
            donations = amounts.map(lambda amount: build("donation.completed", amount=amount))
            assert_converges(LeaderboardProcessor, donations)
    """
    what = subject or subject_of(processor)
    if not what.tables:
        raise AssertionError(f"{processor.__name__} names no tables: there is nothing to compare")

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(deliveries(payloads, most))
    def any_order(delivered: Delivered) -> None:
        in_order, as_delivered = in_order_and_as_delivered(what, delivered)
        differing = [name for name in in_order if as_delivered[name] != in_order[name]]
        if differing:
            raise AssertionError(f"{processor.name}: {', '.join(differing)}: other rows than after the ordered run")

    any_order()

"""One proof for every convergent processor: any order, duplication, split and company ends in the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Barrier
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Engine

from fundlyhub import Event
from fundlyhub.events import Payload
from fundlyhub.processing.processor import Processor
from tests.support.platform import wait_until

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

    def apply(self, batch: Sequence[Event]) -> None:
        """One batch in one transaction; a deadlock would raise."""
        with self.engine.begin() as db:
            self.processor().handle_batch(batch, db)

    def stored(self) -> dict[str, Rows]:
        """Every row of every table."""
        return stored(self.engine, self.tables)

    def empty(self) -> None:
        """Forget all."""
        with self.engine.begin() as db:
            for name in self.tables:
                db.exec_driver_sql(f"DELETE FROM {name.rpartition('FROM ')[2].strip('()')}")


def stored(engine: Engine, tables: Iterable[str]) -> dict[str, Rows]:
    """Every row of these tables."""
    every = "SELECT stored.* FROM {} AS stored ORDER BY stored"
    with engine.begin() as db:
        return {name: [tuple(row) for row in db.exec_driver_sql(every.format(name))] for name in tables}


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

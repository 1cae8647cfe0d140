"""Differences that wait behind a transaction that is held open: each is added once, whatever comes between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from fundlyhub import Event
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor, waiting
from fundlyhub.testing.convergence import Subject, logged
from tests.processors.campaign_stats_oracle import TABLES, expected
from tests.support.make import completed, refunded
from tests.support.platform import wait_until

CAMPAIGNS, DONATIONS, DONORS = ([UUID(int=100 * kind + n) for n in range(6)] for kind in range(1, 4))
OTHERS = 1_000
"""Rows of other campaigns, which are updated again and again."""

_OTHERS = """
    INSERT INTO campaign_stats_projection
        (campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation, first_donation_at,
         last_donation_at, refund_count, total_refunded)
    SELECT gen_random_uuid(), 'XTS', 1, 1, 1, 1, now(), now(), 0, 0 FROM generate_series(1, %(rows)s)
"""
_SEEN = "SELECT pg_snapshot_xmax(seen)::text::bigint FROM campaign_stats_added"
_REST = "SELECT extract(epoch FROM next_at - clock_timestamp()) FROM campaign_stats_added"
_TOLD = "SELECT * FROM {} AS told WHERE currency <> 'XTS' ORDER BY told"


@pytest.fixture
def held(analytics: Engine) -> Iterator[Connection]:
    """A transaction that is held open, behind which so many versions cannot be cleared away that differences wait."""
    with analytics.connect() as holder, analytics.connect() as writer:
        holder.execution_options(isolation_level="REPEATABLE READ").exec_driver_sql("SELECT pg_current_xact_id()")
        writer.exec_driver_sql(_OTHERS, {"rows": OTHERS})
        writer.commit()
        for _ in range(1 + waiting.MOST_DEAD // OTHERS):
            writer.exec_driver_sql("UPDATE campaign_stats_projection SET total_raised = total_raised + 1")
            writer.exec_driver_sql("SELECT pg_stat_force_next_flush()")
            writer.commit()

        def differences_wait() -> bool:
            with analytics.connect() as db:
                return waiting.must_wait(db)

        wait_until(differences_wait, what="differences that have to wait")
        yield holder


@pytest.fixture
def stats(analytics: Engine) -> Subject:
    """The processor with its tables."""
    return Subject(CampaignStatsProcessor, TABLES, analytics)


def gifts(random: Random, count: int = 60) -> list[Event]:
    """Gifts and refunds of few donations, so that completions come twice and move between campaigns."""
    given = [
        completed(
            random.choice(CAMPAIGNS[:3]), donation_id=random.choice(DONATIONS), donor_id=random.choice(DONORS),
            amount=Decimal(n + 1),
        )
        for n in range(count)
    ]  # fmt: skip
    back = [refunded(random.choice(DONATIONS), str(n + 1), refund_transaction_id=f"re_{n % 5}") for n in range(20)]
    return logged(random.sample([*given, *back], count + 20), random)


def told(engine: Engine, relation: str = "campaign_stats_projection") -> list[tuple[Any, ...]]:
    """The statistics of our campaigns."""
    with engine.connect() as db:
        return [tuple(row) for row in db.exec_driver_sql(_TOLD.format(relation))]


def add(engine: Engine) -> None:
    """Add all that waits."""
    with engine.begin() as db:
        waiting.add(db)


def due(engine: Engine) -> bool:
    """Whether it is time to add again."""
    with engine.connect() as db:
        return float(db.exec_driver_sql(_REST).scalar_one()) < 0


@contextmanager
def kept_waiting(engine: Engine, add: Callable[[Engine], None]) -> Iterator[tuple[Connection, Future[None]]]:
    """Whoever locks a row of ours, and somebody who adds, and waits for him."""
    with engine.connect() as slow, ThreadPoolExecutor(1) as pool:
        slow.exec_driver_sql("UPDATE campaign_stats_projection SET refund_count = 0 WHERE currency <> 'XTS'")
        adding = pool.submit(add, engine)
        wait_until(lambda: _waits_for_a_lock(engine), what="one who adds and is kept waiting")
        yield slow, adding


def _waits_for_a_lock(engine: Engine) -> bool:
    with engine.connect() as db:
        return bool(db.exec_driver_sql("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)").scalar_one())


def one_gift(position: int = 1) -> Event:
    """A gift of ten dollars to the first campaign."""
    (event,) = logged([completed(CAMPAIGNS[0], amount=Decimal(10))], Random(1))
    return event.model_copy(update={"position": position})


@pytest.mark.usefixtures("held")
def test_what_waits_is_told_by_the_view_and_added_afterwards(stats: Subject) -> None:
    assert not CampaignStatsProcessor.has_more()
    stats.apply([one_gift()])
    assert told(stats.engine) == []
    (now,) = told(stats.engine, "campaign_stats_now")
    assert now[:5] == (CAMPAIGNS[0], "USD", Decimal(10), 1, Decimal(10))
    assert CampaignStatsProcessor.has_more()
    CampaignStatsProcessor().afterwards()
    assert told(stats.engine) == [now] == told(stats.engine, "campaign_stats_now")
    assert not CampaignStatsProcessor.has_more()


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("seed", range(6))
def test_any_order_ends_in_the_rows_of_the_oracle(stats: Subject, seed: int) -> None:
    random = Random(seed)
    log = gifts(random)
    order = random.sample([*log, *log[:20]], len(log) + 20)
    while order:
        batch, order = order[:7], order[7:]
        stats.apply(batch)
        if random.random() < 0.3:
            add(stats.engine)
    now = told(stats.engine, "campaign_stats_now")
    add(stats.engine)
    assert told(stats.engine) == now == expected(log)["campaign_stats_projection"]


@pytest.mark.usefixtures("held")
def test_many_that_add_at_once_add_each_once(stats: Subject) -> None:
    log = gifts(Random(7), 200)

    def deliver(events: list[Event]) -> None:
        for start in range(0, len(events), 5):
            stats.apply(events[start : start + 5])
            add(stats.engine)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, [log[n::4] for n in range(4)]))
    add(stats.engine)
    assert told(stats.engine) == expected(log)["campaign_stats_projection"]


def test_what_commits_late_is_added_by_a_later_one(stats: Subject, held: Connection) -> None:
    with stats.engine.connect() as late:
        CampaignStatsProcessor().handle_batch([one_gift(1)], late)
        stats.apply([one_gift(2)])
        add(stats.engine)
        assert [row[3] for row in told(stats.engine)] == [1]
        stats.apply([one_gift(3)])
        add(stats.engine)
        late.commit()
    add(stats.engine)
    add(stats.engine)
    assert [row[3] for row in told(stats.engine)] == [3]


@pytest.mark.usefixtures("held")
def test_each_time_begins_behind_the_last_one(stats: Subject) -> None:
    """Deleted rows cannot be cleared away: whoever passed them all would become slower and slower."""
    ends: list[int] = []
    for position in (1, 2):
        stats.apply([one_gift(position)])
        add(stats.engine)
        with stats.engine.connect() as db:
            ends += db.exec_driver_sql(_SEEN).scalars()
    assert ends[0] < ends[1]


@pytest.mark.usefixtures("held")
def test_all_processes_together_add_about_once_a_second(stats: Subject) -> None:
    neighbour, third = (stats.engine.execution_options() for _ in range(2))  # what another process remembers
    stats.apply([one_gift(1)])
    waiting.add_now_and_then(stats.engine)
    stats.apply([one_gift(2)])
    waiting.add_now_and_then(neighbour)
    assert [row[3] for row in told(stats.engine)] == [1]
    wait_until(lambda: due(stats.engine), what="the next time")
    waiting.add_now_and_then(third)
    assert [row[3] for row in told(stats.engine)] == [2]


@pytest.mark.usefixtures("held")
def test_what_took_long_is_done_less_often(stats: Subject) -> None:
    stats.apply([one_gift(1)])
    add(stats.engine)
    stats.apply([one_gift(2)])
    with kept_waiting(stats.engine, waiting.add_now_and_then) as (slow, adding):
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 2 * waiting.PAUSE / waiting.REST, what="twice the usual time")
        slow.commit()
        adding.result()
    assert [row[3] for row in told(stats.engine)] == [2]
    with stats.engine.connect() as db:
        rest = float(db.exec_driver_sql(_REST).scalar_one())
    assert 1.5 * waiting.PAUSE < rest <= waiting.LONGEST


@pytest.mark.usefixtures("held")
def test_a_server_whose_clock_was_ahead_holds_nothing_up(stats: Subject) -> None:
    stats.apply([one_gift(1)])
    add(stats.engine)
    with stats.engine.begin() as db:
        db.exec_driver_sql("UPDATE campaign_stats_added SET next_at = now() + interval '1 day'")
    stats.apply([one_gift(2)])
    waiting.add_now_and_then(stats.engine)
    assert [row[3] for row in told(stats.engine)] == [2]


@pytest.mark.usefixtures("held")
def test_who_dies_while_adding_has_added_nothing(stats: Subject) -> None:
    stats.apply([one_gift(1)])
    add(stats.engine)
    stats.apply([one_gift(2)])
    with kept_waiting(stats.engine, add) as (slow, adding):
        slow.exec_driver_sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        assert isinstance(adding.exception(), DBAPIError)
    assert CampaignStatsProcessor.has_more()
    add(stats.engine)
    assert [row[3] for row in told(stats.engine)] == [2]


@pytest.mark.usefixtures("held")
def test_a_database_from_a_server_that_had_counted_further_loses_nothing(stats: Subject) -> None:
    with stats.engine.begin() as db:
        waiting.add(db)
        db.exec_driver_sql("UPDATE campaign_stats_added SET seen = '4000000000:4000000000:'")
    stats.apply([one_gift()])
    assert CampaignStatsProcessor.has_more()
    add(stats.engine)
    add(stats.engine)
    assert [row[3] for row in told(stats.engine)] == [1]


@pytest.mark.usefixtures("held")
def test_what_fails_waits_no_more_than_it_happened(stats: Subject) -> None:
    with stats.engine.connect() as db:
        CampaignStatsProcessor().handle_batch([one_gift()], db)
        db.rollback()
    assert not CampaignStatsProcessor.has_more()
    assert told(stats.engine, "campaign_stats_now") == []


def test_to_look_makes_the_driver_forget_nothing_that_it_has_prepared(stats: Subject) -> None:
    """It looks each second: a worker would plan most of its statements anew."""

    def prepared() -> list[Any]:
        sql = "SELECT statement FROM pg_prepared_statements WHERE statement LIKE 'SELECT 1 AS kept%%'"
        with stats.engine.begin() as db:
            return list(db.exec_driver_sql(sql).scalars())

    for _ in range(8):
        with stats.engine.begin() as db:
            db.exec_driver_sql("SELECT 1 AS kept")
    assert len(prepared()) == 1
    waiting.has_some(stats.engine)
    assert len(prepared()) == 1

"""A rebuild from its start to its end, in this process: what was wrong is found, put right, and put back."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from fundlyhub import publish_events, rebuilds
from fundlyhub.errors import WrongState, WrongUse
from fundlyhub.processing.executor import execute
from fundlyhub.processing.processor import Processor
from fundlyhub.rebuilds.filling import go_on
from fundlyhub.settings import Settings
from tests.support.make import completed
from tests.support.platform import wait_until
from tests.verification.world import OURS, WELLS, found, sql

STATS = "campaign_stats"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rebuild%%'"
ROWS = "SELECT * FROM analytics.campaign_stats_now ORDER BY 1, 2"
REBUILDABLE = ("activity_feed", "campaign_stats", "event_lookup", "search_index", "subscription_write")


def filled(settings: Settings, name: str = STATS, processors: Mapping[str, type[Processor]] = OURS) -> None:
    """A rebuild that has replayed all there is."""
    rebuilds.start(settings, processors, name, who="ann")
    go_on(settings, processors[name], seconds=60)
    status = rebuilds.status(settings, processors, name)
    assert (status.phase, status.behind, status.findings) == ("following", 0, 0)


def donate(number: int) -> list[int]:
    """Donations that campaign_stats has applied."""
    positions = [one.position or 0 for one in publish_events(completed(WELLS) for _ in range(number))]
    assert execute(OURS[STATS], positions).outcomes == {"done": number}
    return positions


@pytest.mark.parametrize("name", REBUILDABLE)
def test_rebuilt_rows_are_those_of_the_live_tables_and_verify_finds_nothing_after_the_swap(
    at_rest: Settings, name: str
) -> None:
    filled(at_rest, name)
    for one in rebuilds.diff(at_rest, OURS, name):
        assert (one.table, one.added, one.gone, one.changed) == (one.table, 0, 0, 0)
    done = rebuilds.swap(at_rest, OURS, name, who="ann")
    assert (done.replayed, done.under_lock) == (0, 0)
    assert found(name) == []
    rebuilds.undo(at_rest, OURS, name, who="ann")
    assert found(name) == []
    rebuilds.prune(at_rest, OURS, name, who="ann")
    assert sql(SCHEMAS) == []


def test_a_damaged_table_is_told_put_right_by_the_swap_and_put_back_by_undo(at_rest: Settings) -> None:
    right = sql(ROWS)
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = total_raised + 1 WHERE campaign_id = %s", WELLS)
    sql("DELETE FROM analytics.donation_anomalies")
    sql("INSERT INTO analytics.donation_anomalies SELECT gen_random_uuid(), 'odd', 1")
    wrong = sql(ROWS)
    filled(at_rest)
    told = {one.table: (one.added, one.gone, one.changed) for one in rebuilds.diff(at_rest, OURS, STATS)}
    assert told["campaign_stats_projection"] == (0, 0, len([1 for row in right if row[0] == WELLS]))
    assert told["donation_anomalies"][1] == 1
    rebuilds.swap(at_rest, OURS, STATS, who="ann")
    assert sql(ROWS) == right
    assert found(STATS) == []
    rebuilds.undo(at_rest, OURS, STATS, who="ann")
    assert sql(ROWS) == wrong


@pytest.mark.chaos  # for its length
def test_what_is_claimed_meanwhile_is_in_the_new_tables_and_what_comes_afterwards_in_the_former_ones(
    at_rest: Settings,
) -> None:
    filled(at_rest)
    donate(5)
    assert rebuilds.swap(at_rest, OURS, STATS, who="ann").replayed == 5
    assert found(STATS) == []
    donate(7)
    assert found(STATS) == []
    assert rebuilds.undo(at_rest, OURS, STATS, who="ann").replayed == 7
    assert found(STATS) == []
    donate(2)
    assert found(STATS) == []


def test_what_is_claimed_just_before_the_lock_is_replayed_under_it(at_rest: Settings) -> None:
    filled(at_rest)

    def late(what: str, done: int, total: int, /) -> None:
        if what == "waiting for the locks":
            donate(3)

    assert rebuilds.swap(at_rest, OURS, STATS, who="ann", tell=late).under_lock == 3
    assert found(STATS) == []
    assert rebuilds.undo(at_rest, OURS, STATS, who="ann", tell=late).under_lock == 3
    assert found(STATS) == []


def test_views_rights_triggers_indexes_and_sequences_go_along(at_rest: Settings) -> None:
    sql("CREATE ROLE analyst")
    try:
        sql("""
            GRANT SELECT ON analytics.donation_facts TO analyst;
            GRANT UPDATE (amount) ON analytics.donation_facts TO analyst;
            CREATE SCHEMA reports;
            CREATE VIEW reports.gifts WITH (security_barrier = true) AS
                SELECT donation_id FROM analytics.donation_facts;
            GRANT SELECT ON reports.gifts TO analyst;
            CREATE INDEX by_amount ON analytics.donation_facts USING brin (amount) WHERE amount > 0;
        """)
        filled(at_rest)
        before = _hanging()
        rebuilds.swap(at_rest, OURS, STATS, who="ann")
        assert _hanging() == before
        assert sql("SELECT count(*) FROM reports.gifts") == sql("SELECT count(*) FROM analytics.donation_facts")
        rebuilds.prune(at_rest, OURS, STATS, who="ann")
        assert _hanging() == before
        assert sql("SELECT count(*) FROM reports.gifts") == sql("SELECT count(*) FROM analytics.donation_facts")
    finally:
        sql("DROP OWNED BY analyst; DROP ROLE analyst")


def _hanging() -> list[Any]:
    return [
        sql(query)
        for query in (
            "SELECT relname, relkind, relacl::text, reloptions FROM pg_class"
            " WHERE relnamespace IN ('analytics'::regnamespace, 'reports'::regnamespace) ORDER BY 1",
            "SELECT pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE NOT tgisinternal AND relnamespace = 'analytics'::regnamespace ORDER BY 1",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'analytics' ORDER BY 1",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'analytics'::regnamespace ORDER BY 1, 2",
            "SELECT attrelid::regclass::text, attname, attacl::text FROM pg_attribute JOIN pg_class ON oid = attrelid"
            " WHERE attacl IS NOT NULL AND relnamespace = 'analytics'::regnamespace ORDER BY 1",
            "SELECT table_name, column_name, column_default, identity_generation FROM information_schema.columns"
            " WHERE table_schema = 'analytics' ORDER BY 1, 2",
            "SELECT viewname, definition FROM pg_views WHERE schemaname = 'analytics' ORDER BY 1",
        )
    ]


def test_a_reader_that_waits_for_the_swap_sees_the_new_table_and_a_long_one_makes_it_try_again(
    at_rest: Settings,
) -> None:
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = -1")
    filled(at_rest)
    tries: list[tuple[str, int]] = []
    with psycopg.connect(at_rest.dsn("events")) as reader:
        reader.execute("SELECT * FROM analytics.campaign_stats_now")

        def tell(what: str, done: int, total: int, /) -> None:
            tries.append((what, done))
            if (what, done) == ("waiting for the locks", 2):
                reader.rollback()

        done = rebuilds.swap(at_rest, OURS, STATS, who="ann", tell=tell)
    assert done.tries == 2
    assert sql("SELECT count(*) FROM analytics.campaign_stats_now WHERE total_raised < 0") == [(0,)]


def test_readers_never_see_an_empty_or_a_half_table(at_rest: Settings) -> None:
    filled(at_rest)
    right, stop, seen = sql(ROWS), threading.Event(), set()

    def read() -> None:
        with psycopg.connect(at_rest.dsn("events"), autocommit=True, prepare_threshold=1) as db:
            while not stop.is_set():
                seen.add(tuple(db.execute(ROWS).fetchall()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_until(lambda: seen, what="the reader")
        for _ in range(2):
            rebuilds.swap(at_rest, OURS, STATS, who="ann")
            rebuilds.undo(at_rest, OURS, STATS, who="ann")
            rebuilds.prune(at_rest, OURS, STATS, who="ann")
            filled(at_rest)
    finally:
        stop.set()
        reader.join(30)
    assert seen == {tuple(right)}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("email_notification", "it sends messages"),
        (
            "recipient_write",
            "reference_write writes to entity_fields too; contacts has columns .*: locale, phone, .*; "
            "contacts has rows .* `fundlyhub verify --processor recipient_write` compares",
        ),
        ("reference_write", "recipient_write writes to entity_fields too"),
        ("nobody", "no such processor"),
    ],
)
def test_what_cannot_be_rebuilt_is_refused_with_the_reason(at_rest: Settings, name: str, why: str) -> None:
    with pytest.raises(WrongUse, match=why):
        rebuilds.start(at_rest, OURS, name, who="ann")
    assert sql(SCHEMAS) == []


def test_one_rebuild_of_a_processor_at_a_time_and_none_that_is_half_done_is_swapped(at_rest: Settings) -> None:
    rebuilds.start(at_rest, OURS, STATS, who="ann")
    with pytest.raises(WrongState, match="already"):
        rebuilds.start(at_rest, OURS, STATS, who="ann")
    with pytest.raises(WrongState, match="is being filled"):
        rebuilds.swap(at_rest, OURS, STATS, who="ann")
    with pytest.raises(WrongState, match="no former tables"):
        rebuilds.undo(at_rest, OURS, STATS, who="ann")
    rebuilds.cancel(at_rest, OURS, STATS, who="ann")
    assert sql(SCHEMAS) == []
    with pytest.raises(WrongState, match="not being rebuilt"):
        rebuilds.cancel(at_rest, OURS, STATS, who="ann")


def test_the_rate_limits_all_workers_together(at_rest: Settings) -> None:
    claims = sql("SELECT count(*) FROM analytics.processed_events WHERE processor = %s", STATS)[0][0]
    rebuilds.start(at_rest, OURS, STATS, who="ann", rate=int(claims))
    began = time.monotonic()
    workers = [threading.Thread(target=go_on, args=(at_rest, OURS[STATS])) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    wait_until(lambda: go_on(at_rest, OURS[STATS]) == 0, what="all claims")
    assert time.monotonic() - began > 0.8

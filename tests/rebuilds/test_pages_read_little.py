"""A page of a rebuild reads about what it replays, however large the tables of claims are."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from fundlyhub import rebuilds
from fundlyhub.rebuilds.filling import replay
from fundlyhub.rebuilds.schema import OpenSchema, connected
from fundlyhub.settings import Settings
from tests.rebuilds.test_exchange import STATS
from tests.verification.world import OURS, sql

CLAIMS, RANGE, LIMIT = 40_000, 20_000, 100
FIRST = 1_000_000
"""Positions that no event has: a claim without an event is a finding, and read all the same."""
_READ = """
    SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(relation.oid)), 0)::int FROM (
        SELECT oid, oid AS of FROM pg_class UNION ALL SELECT indexrelid, indrelid FROM pg_index
    ) AS relation JOIN pg_class AS claims ON claims.oid = relation.of
    WHERE claims.relname LIKE 'processed\\_events%%'
"""


@pytest.mark.parametrize("until", [FIRST + RANGE, 2**63 - 1])
def test_a_page_reads_no_more_claims_than_it_replays(at_rest: Settings, until: int) -> None:
    one = rebuilds.start(at_rest, OURS, STATS, who="ann")
    sql("""INSERT INTO analytics.processed_events (processor, position, event_id)
           SELECT %s, %s + n, gen_random_uuid() FROM generate_series(1, %s) AS n""", STATS, FIRST, CLAIMS)  # fmt: skip
    sql(f"INSERT INTO {one.schema}.processed_events SELECT * FROM analytics.processed_events "
        "WHERE processor = %s AND position BETWEEN %s AND %s", STATS, FIRST, FIRST + RANGE // 2)  # fmt: skip
    sql("ANALYZE analytics.processed_events")
    after = FIRST + RANGE // 2 - LIMIT
    with connected(at_rest, "analytics") as (db, events):
        beside = OpenSchema(one, db)
        for _ in range(12):  # as often as it takes until the server would make a plan for any values
            with beside.transaction() as driver:
                before = _read(driver)
                claims = replay(driver, beside, events, OURS[STATS], one, after, until, limit=LIMIT)
                assert _read(driver) - before <= 10 * LIMIT
            assert len(claims) == LIMIT
            after = claims[-1].position


def _read(driver: psycopg.Connection[Any]) -> int:
    (number,) = driver.execute(_READ, prepare=False).fetchone() or (0,)
    return int(number)

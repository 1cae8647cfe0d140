"""What waits is what left no trace: claims, attempts and letters count, and the oldest of the rest is found."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from fundlyhub import publish_events
from fundlyhub.database import connect
from fundlyhub.monitoring.waiting import PAGE, Log, Waiting
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor
from fundlyhub.settings import Settings
from tests.support.make import completed, initiated

CLAIM = """
    INSERT INTO analytics.processed_events (processor, position, event_id)
    SELECT 'campaign_stats', n, gen_random_uuid() FROM generate_series(%s::bigint, %s::bigint) n
"""
ATTEMPT = "INSERT INTO events.attempts VALUES ('campaign_stats', %s, 1, now(), now(), 'X')"
LETTER = """
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
                                     fingerprint, attempts, first_failed_at, last_failed_at, state)
    VALUES ('campaign_stats', %s, gen_random_uuid(), 'donation.completed', 'X', '', '', 'f', 1, now(), now(), %s)
"""
OLD = "UPDATE events.events SET recorded_at = now() - make_interval(hours => %s) WHERE position = %s"
SWEPT = """
    INSERT INTO events.relay_cursors (name, system_identifier, seen)
    SELECT 'sweep:campaign_stats', system_identifier, pg_current_snapshot() FROM pg_control_system()
"""
Db = psycopg.Connection


@pytest.fixture
def db(settings: Settings) -> Iterator[Db]:
    """One connection to all: the three databases are one here."""
    with connect("analytics", autocommit=True) as opened:
        yield opened


def waiting(db: Db) -> Waiting:
    """What waits for the statistics now."""
    return Log(db, db, [CampaignStatsProcessor]).waiting(CampaignStatsProcessor)


def test_each_kind_of_trace_counts(db: Db) -> None:
    assert waiting(db) == (0, 0.0)
    publish_events([initiated(), *(completed() for _ in range(8))])  # nobody wants the first for statistics
    first = db.execute("SELECT min(position) FROM events.events").fetchone()
    assert first is not None
    (start,) = first
    assert waiting(db).events == 8
    db.execute(CLAIM, (start + 1, start + 1))
    db.execute(ATTEMPT, (start + 2,))
    for offset, state in ((3, "open"), (4, "replayed"), (5, "discarded")):
        db.execute(LETTER, (start + offset, state))
    db.execute(ATTEMPT, (start + 4,))  # replayed, and under way: one event all the same
    db.execute(LETTER, (start + 6, "resolved"))  # what it stood for is applied, or missing
    for offset, hours in ((5, 9), (6, 3), (7, 1), (0, 20)):
        db.execute(OLD, (hours, start + offset))
    found = waiting(db)
    assert found.events == 3
    assert found.oldest == pytest.approx(3 * 3600, abs=60)


@pytest.mark.parametrize("at", [1, 2, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE - 1, 3 * PAGE])
def test_the_oldest_is_found_wherever_it_is(db: Db, at: int) -> None:
    publish_events(completed() for _ in range(3 * PAGE))
    db.execute(CLAIM, (1, at - 1))
    db.execute(CLAIM, (at + 1, 3 * PAGE))
    db.execute(OLD, (5, at))
    db.execute(OLD, (50, 1 if at > 1 else 2))  # older, and settled
    found = waiting(db)
    assert found.events == 1
    assert found.oldest == pytest.approx(5 * 3600, abs=60)


def test_what_the_sweep_has_settled_is_passed_over(db: Db) -> None:
    publish_events(completed() for _ in range(5))
    db.execute(SWEPT)
    assert waiting(db) == (0, 0.0)
    publish_events([completed(), completed()])
    assert waiting(db).events == 2

"""The limit: the statements of campaign_stats, set-based, over the log, by psycopg and with nothing else around them.

Two processes take every other batch of a finished log, so that there is neither relay nor broker. Within one it reads,
decodes, folds, claims and writes as the processor does. It keeps no account of failures.
"""

from __future__ import annotations

import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import psycopg

from benchmarks.peers import work

BATCH = 2_000

_READ = """
    SELECT position, id, payload::text, occurred_at FROM events.events WHERE position > %s AND position <= %s
    ORDER BY position
"""
_CLAIM = """
    WITH fresh AS (
        INSERT INTO processed_events AS claimed (processor, position, event_id)
        SELECT 'campaign_stats', * FROM unnest(%s::bigint[], %s::uuid[]) AS given(position, id) ORDER BY 2
        ON CONFLICT (processor, position) DO UPDATE
            SET event_id = excluded.event_id, processed_at = clock_timestamp() + interval '1 microsecond'
            WHERE claimed.event_id <> excluded.event_id
        RETURNING position, processed_at <> now() AS overwritten
    )
    SELECT count(*), CASE WHEN count(*) <> %s THEN array_agg(position) END, count(*) FILTER (WHERE overwritten)
    FROM fresh
"""
_FACTS = """
    INSERT INTO donation_facts
        (donation_id, position, campaign_id, currency, donor_id, amount, donated_at, refunded, refund_count)
    SELECT *, 0, 0 FROM unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::text[], %s::uuid[], %s::numeric[],
                               %s::timestamptz[]) AS given(donation_id)
    ORDER BY donation_id
    ON CONFLICT (donation_id) DO NOTHING RETURNING donation_id
"""
_DONORS = """
    WITH met AS (
        INSERT INTO campaign_donors AS known (campaign_id, currency, donor_id)
        SELECT * FROM unnest(%s::uuid[], %s::text[], %s::uuid[]) AS given(campaign_id, currency, donor_id)
        ORDER BY campaign_id, currency, donor_id
        ON CONFLICT (campaign_id, currency, donor_id) DO UPDATE SET donor_id = excluded.donor_id WHERE false
        RETURNING campaign_id, currency
    )
    SELECT campaign_id, currency, count(*) FROM met GROUP BY campaign_id, currency
"""
_STATS = """
    INSERT INTO campaign_stats_projection AS stats
        (campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation, first_donation_at,
         last_donation_at, refund_count, total_refunded)
    SELECT *, 0, 0 FROM unnest(%s::uuid[], %s::text[], %s::numeric[], %s::bigint[], %s::bigint[], %s::numeric[],
                               %s::timestamptz[], %s::timestamptz[]) AS given(campaign_id, currency)
    ORDER BY campaign_id, currency
    ON CONFLICT (campaign_id, currency) DO UPDATE
    SET total_raised      = stats.total_raised + excluded.total_raised,
        donation_count    = stats.donation_count + excluded.donation_count,
        unique_donors     = stats.unique_donors + excluded.unique_donors,
        largest_donation  = greatest(stats.largest_donation, excluded.largest_donation),
        first_donation_at = least(stats.first_donation_at, excluded.first_donation_at),
        last_donation_at  = greatest(stats.last_donation_at, excluded.last_donation_at)
"""


class Sums:
    """What a batch says of one campaign."""

    __slots__ = ("count", "donors", "first", "largest", "last", "raised")

    def __init__(self, amount: Decimal, at: datetime) -> None:
        self.raised, self.count, self.donors, self.largest = Decimal(0), 0, 0, amount
        self.first = self.last = at

    def add(self, amount: Decimal, at: datetime) -> None:
        """Count a donation in."""
        self.raised += amount
        self.count += 1
        self.largest = max(self.largest, amount)
        self.first, self.last = min(self.first, at), max(self.last, at)


def array(values: Any) -> str:
    """An array literal of values that need no quotes."""
    return "{" + ",".join(map(str, values)) + "}"


def batch(db: psycopg.Connection[Any], first: int, last: int) -> None:
    """One batch from the log into the tables."""
    rows = db.execute(_READ, (first, last)).fetchall()
    events = [(position, id, orjson.loads(payload), at) for position, id, payload, at in rows]
    given = [e[0] for e in events]
    row = db.execute(_CLAIM, (array(given), array(e[1] for e in events), len(given))).fetchone()
    fresh = set(given if row is None or row[0] == len(given) else row[1] or ())
    facts: dict[str, tuple[Any, ...]] = {}
    for position, _, paid, at in events:
        if position in fresh:
            key = paid["donationId"]
            facts.setdefault(
                key, (key, position, paid["campaignId"], paid["currency"], paid["donorId"], paid["amount"], at)
            )
    inserted = db.execute(_FACTS, [array(column) for column in zip(*facts.values(), strict=True)]).fetchall()
    sums: dict[tuple[str, str], Sums] = {}
    donors: set[tuple[str, str, str]] = set()
    for (donation,) in inserted:
        _, _, campaign, currency, donor, paid_amount, at = facts[str(donation)]
        amount = Decimal(str(paid_amount))
        if (campaign, currency) not in sums:
            sums[campaign, currency] = Sums(amount, at)
        sums[campaign, currency].add(amount, at)
        donors.add((campaign, currency, donor))
    counted = [array(column) for column in zip(*donors, strict=True)]
    for campaign_id, currency, change in db.execute(_DONORS, counted).fetchall():
        sums[str(campaign_id), currency].donors = change
    names = ("raised", "count", "donors", "largest", "first", "last")
    columns = [array(getattr(one, name) for one in sums.values()) for name in names]
    db.execute(_STATS, [*(array(column) for column in zip(*sums, strict=True)), *columns])


def run(number: int, processes: int) -> None:
    """Every ``processes``-th batch of the log."""
    options = "-c search_path=analytics -c timezone=UTC"
    with psycopg.connect(work.DSN, options=options) as db:
        row = db.execute("SELECT max(position) FROM events.events").fetchone()
        db.commit()
        assert row is not None
        for first in range(number * BATCH, row[0], processes * BATCH):
            batch(db, first, min(first + BATCH, row[0]))
            db.commit()


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))

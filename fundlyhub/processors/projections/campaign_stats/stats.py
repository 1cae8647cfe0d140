"""SQL on the statistics: differences added to the rows, and rows measured again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from fundlyhub.database.arrays import Array, array, arrays
from fundlyhub.processors.projections.campaign_stats.deltas import Delta, Deltas, Key

# Returns how many donors each campaign has more or less than before. The sorted upsert locks each donor's
# row, so that of two transactions that count the same donor exactly one finds him new.
_COUNT_DONORS = """
    WITH given AS (
        SELECT * FROM unnest(
            %(campaigns)s::uuid[], %(currencies)s::text[], %(donors)s::uuid[], %(counts)s::bigint[]
        ) AS given(campaign_id, currency, donor_id, change)
    ), counted AS (
        INSERT INTO campaign_donors AS known (campaign_id, currency, donor_id, donation_count)
        SELECT * FROM given
        ORDER BY campaign_id, currency, donor_id
        ON CONFLICT (campaign_id, currency, donor_id) DO UPDATE
        SET donation_count = known.donation_count + excluded.donation_count
        RETURNING *
    )
    SELECT campaign_id, currency, sum(CASE WHEN donation_count = 0 THEN -1 ELSE 1 END)
    FROM counted JOIN given USING (campaign_id, currency, donor_id)
    WHERE donation_count IN (0, change)
    GROUP BY campaign_id, currency
"""

_FORGET_DONORS = """
    DELETE FROM campaign_donors AS known
    USING unnest(%(campaigns)s::uuid[], %(currencies)s::text[], %(donors)s::uuid[])
        AS given(campaign_id, currency, donor_id)
    WHERE known.campaign_id = given.campaign_id AND known.currency = given.currency
      AND known.donor_id = given.donor_id AND known.donation_count = 0
"""

NUMBERS = """
    largest_donation, first_donation_at, last_donation_at, total_raised, donation_count, unique_donors, refund_count,
    total_refunded
"""
"""The columns of differences, in the order in which they are given."""
GIVEN = """
    unnest(
        %(campaigns)s::uuid[], %(currencies)s::text[], %(largest)s::numeric[], %(first)s::timestamptz[],
        %(last)s::timestamptz[], %(raised)s::numeric[], %(donations)s::bigint[], %(donors)s::bigint[],
        %(refunds)s::bigint[], %(refunded)s::numeric[]
    ) AS given(campaign_id, currency)
"""
MERGE = """
    ON CONFLICT (campaign_id, currency) DO UPDATE
    SET total_raised      = stats.total_raised + excluded.total_raised,
        donation_count    = stats.donation_count + excluded.donation_count,
        unique_donors     = stats.unique_donors + excluded.unique_donors,
        refund_count      = stats.refund_count + excluded.refund_count,
        total_refunded    = stats.total_refunded + excluded.total_refunded,
        largest_donation  = greatest(stats.largest_donation, excluded.largest_donation),
        first_donation_at = least(stats.first_donation_at, excluded.first_donation_at),
        last_donation_at  = greatest(stats.last_donation_at, excluded.last_donation_at)
"""
"""What adds differences to a row of the statistics."""

_ADD = f"""
    INSERT INTO campaign_stats_projection AS stats (campaign_id, currency, {NUMBERS})
    SELECT * FROM {GIVEN} ORDER BY campaign_id, currency
    {MERGE}
"""  # noqa: S608 - put together from constants

# For rows that a donation has left: an extreme cannot be taken back by a difference. The rows are locked, by
# _ADD: what a neighbour has committed is seen here, and what he has not is still to be added by him.
_MEASURE = """
    UPDATE campaign_stats_projection AS stats
    SET largest_donation = measured.largest,
        first_donation_at = measured.first, last_donation_at = measured.last
    FROM (
        SELECT campaign_id, currency, max(amount), min(donated_at), max(donated_at)
        FROM donation_facts
        JOIN unnest(%(campaigns)s::uuid[], %(currencies)s::text[]) AS given(campaign_id, currency)
            USING (campaign_id, currency)
        GROUP BY campaign_id, currency
    ) AS measured(campaign_id, currency, largest, first, last)
    WHERE stats.campaign_id = measured.campaign_id AND stats.currency = measured.currency
"""

_FORGET = """
    DELETE FROM campaign_stats_projection AS stats
    USING unnest(%(campaigns)s::uuid[], %(currencies)s::text[]) AS given(campaign_id, currency)
    WHERE stats.campaign_id = given.campaign_id AND stats.currency = given.currency
      AND stats.donation_count = 0
"""


_FIELDS = ("largest", "first", "last", "raised", "donations", "donors", "refunds", "refunded")


def count_donors(db: Connection, deltas: Deltas) -> None:
    """Count who gave, and note in the differences how many donors each row has more or less."""
    changes = [
        (*key, donor, change)
        for key, delta in deltas.stats.items()
        for donor, change in delta.by_donor.items()
        if change
    ]
    if not changes:
        return
    columns = arrays(("campaigns", "currencies", "donors", "counts"), changes)
    for campaign_id, currency, change in db.exec_driver_sql(_COUNT_DONORS, columns).all():
        deltas.stats[campaign_id, currency].donors += int(change)
    if deltas.left:
        db.exec_driver_sql(_FORGET_DONORS, columns)


def add(db: Connection, differences: Mapping[Key, Delta]) -> None:
    """Add differences to the statistics."""
    db.exec_driver_sql(_ADD, given(differences))


def measure(db: Connection, left: Collection[Key]) -> None:
    """Measure again the rows that a donation has left, and forget those that have none any more."""
    columns = arrays(("campaigns", "currencies"), left)
    db.exec_driver_sql(_MEASURE, columns)
    db.exec_driver_sql(_FORGET, columns)


def given(differences: Mapping[Key, Delta]) -> dict[str, Array]:
    """Differences as the parameters of ``GIVEN``."""
    numbers = {name: array([getattr(delta, name) for delta in differences.values()]) for name in _FIELDS}
    return {**arrays(("campaigns", "currencies"), differences), **numbers}

"""SQL on the statistics: differences added to the rows, and rows measured again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.processors.projections.campaign_stats.deltas import Delta, Deltas, Key

_DONORS = Columns(campaign_id="uuid", currency="code", donor_id="uuid")
_PAIRS = Columns(campaign_id="uuid", currency="code")

# Returns how many donors each campaign has more than before. Nothing is written to a donor who is there, since each
# former version of a row is kept for as long as any transaction is held open. But the row is locked, as by any
# upsert that updates nothing: no other batch removes the donor until this transaction's donations are seen.
_MEET_DONORS = f"""
    WITH met AS (
        INSERT INTO campaign_donors AS known ({_DONORS}) SELECT * FROM {_DONORS.given} ORDER BY {_DONORS}
        ON CONFLICT (campaign_id, currency, donor_id) DO UPDATE SET donor_id = excluded.donor_id WHERE false
        RETURNING campaign_id, currency
    )
    SELECT campaign_id, currency, count(*) FROM met GROUP BY campaign_id, currency
"""  # noqa: S608 - put together from constants

# For donors whose donation has left, and whose rows are locked: what another batch has committed is seen here,
# and what it has not committed it counts later.
_FORGET_DONORS = f"""
    WITH forgotten AS (
        DELETE FROM campaign_donors AS known USING {_DONORS.given}
        WHERE known.campaign_id = given.campaign_id AND known.currency = given.currency
          AND known.donor_id = given.donor_id
          AND NOT EXISTS (
              SELECT FROM donation_facts AS fact
              WHERE fact.campaign_id = given.campaign_id AND fact.currency = given.currency
                AND fact.donor_id = given.donor_id
          )
        RETURNING known.campaign_id, known.currency
    )
    SELECT campaign_id, currency, count(*) FROM forgotten GROUP BY campaign_id, currency
"""  # noqa: S608

DIFFERENCES = Columns(
    campaign_id="uuid", currency="code", largest_donation="numeric", first_donation_at="timestamptz",
    last_donation_at="timestamptz", total_raised="numeric", donation_count="bigint", unique_donors="bigint",
    refund_count="bigint", total_refunded="numeric",
)  # fmt: skip
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
"""Adds differences to a row of the statistics."""

_ADD = f"""
    INSERT INTO campaign_stats_projection AS stats ({DIFFERENCES})
    SELECT * FROM {DIFFERENCES.given} ORDER BY campaign_id, currency
    {MERGE}
"""  # noqa: S608

# For rows that a donation has left: an extreme cannot be taken back by a difference. The rows are locked, by
# _ADD: what another batch has committed is seen here, and what it has not committed it adds later.
_MEASURE = f"""
    UPDATE campaign_stats_projection AS stats
    SET largest_donation = measured.largest,
        first_donation_at = measured.first, last_donation_at = measured.last
    FROM (
        SELECT campaign_id, currency, max(amount), min(donated_at), max(donated_at)
        FROM donation_facts
        JOIN {_PAIRS.given} USING (campaign_id, currency)
        GROUP BY campaign_id, currency
    ) AS measured(campaign_id, currency, largest, first, last)
    WHERE stats.campaign_id = measured.campaign_id AND stats.currency = measured.currency
"""  # noqa: S608

_FORGET = f"""
    DELETE FROM campaign_stats_projection AS stats USING {_PAIRS.given}
    WHERE stats.campaign_id = given.campaign_id AND stats.currency = given.currency AND stats.donation_count = 0
"""  # noqa: S608


def count_donors(db: Connection, deltas: Deltas) -> None:
    """Note in the differences how many donors each row has more or less."""
    changes = {
        (*key, donor): change
        for key, delta in deltas.stats.items()
        for donor, change in delta.by_donor.items()
        if change
    }
    for campaign_id, currency, more in _of_donors(db, _MEET_DONORS, changes):
        deltas.stats[campaign_id, currency].donors += more
    left = [donor for donor, change in changes.items() if change < 0] if deltas.left else []
    for campaign_id, currency, fewer in _of_donors(db, _FORGET_DONORS, left):
        deltas.stats[campaign_id, currency].donors -= fewer


def _of_donors(db: Connection, sql: str, donors: Collection[tuple[UUID, str, UUID]]) -> Sequence[Any]:
    """Run a statement on donors; returns rows of campaign, currency and number."""
    if not donors:
        return ()
    return db.exec_driver_sql(sql, _DONORS.bound(donors)).all()


def add(db: Connection, differences: Mapping[Key, Delta]) -> None:
    """Add differences to the statistics."""
    db.exec_driver_sql(_ADD, bound(differences))


def measure(db: Connection, left: Collection[Key]) -> None:
    """Measure again the rows that a donation has left, and forget those that have none any more."""
    columns = _PAIRS.bound(left)
    db.exec_driver_sql(_MEASURE, columns)
    db.exec_driver_sql(_FORGET, columns)


def bound(differences: Mapping[Key, Delta]) -> dict[str, Any]:
    """Differences as the parameters of ``DIFFERENCES.given``."""
    return DIFFERENCES.bound(
        (*key, one.largest, one.first, one.last, one.raised, one.donations, one.donors, one.refunds, one.refunded)
        for key, one in differences.items()
    )

"""SQL on single donations: their facts and anomalies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Array, array, arrays
from fundlyhub.processors.projections.campaign_stats.fold import Fact, Gift

Anomaly = tuple[UUID, str, int]
"""Donation, kind, position."""

_NO_GIFT = (None,) * len(Gift._fields)

_NAMES = (
    "ids", "positions", "campaigns", "currencies", "donors", "amounts", "times",
    "refunded", "refund_counts",
)  # fmt: skip

_GIVEN = """
    unnest(%(ids)s::uuid[], %(positions)s::bigint[], %(campaigns)s::uuid[], %(currencies)s::text[],
           %(donors)s::uuid[], %(amounts)s::numeric[], %(times)s::timestamptz[], %(refunded)s::numeric[],
           %(refund_counts)s::integer[])
    AS given(donation_id, position, campaign_id, currency, donor_id, amount, donated_at,
             refunded, refund_count)
"""

# Waits for another transaction that inserts the same donation; after this, all of them are there. Sorted, so that two
# batches cannot deadlock. Returns the inserted ids only where not all were new: usually the answer is one null.
_INSERT = f"""
    WITH inserted AS (
        INSERT INTO donation_facts
            (donation_id, position, campaign_id, currency, donor_id, amount, donated_at, refunded, refund_count)
        SELECT * FROM {_GIVEN}
        ORDER BY donation_id
        ON CONFLICT (donation_id) DO NOTHING
        RETURNING donation_id
    )
    SELECT CASE WHEN count(*) <> %(given)s THEN coalesce(array_agg(donation_id), '{{}}') END FROM inserted
"""  # noqa: S608 - put together from constants

_LOCK = """
    SELECT donation_id, refunded, refund_count, position, campaign_id, currency, donor_id, amount, donated_at
    FROM donation_facts
    WHERE donation_id = ANY (%(ids)s::uuid[])
    ORDER BY donation_id
    FOR UPDATE
"""

_UPDATE = f"""
    UPDATE donation_facts AS fact
    SET position = given.position, campaign_id = given.campaign_id, currency = given.currency,
        donor_id = given.donor_id, amount = given.amount, donated_at = given.donated_at,
        refunded = given.refunded, refund_count = given.refund_count
    FROM {_GIVEN}
    WHERE fact.donation_id = given.donation_id
"""  # noqa: S608 - put together from constants

_ADD_ANOMALIES = """
    INSERT INTO donation_anomalies (donation_id, kind, position)
    SELECT * FROM unnest(%(ids)s::uuid[], %(kinds)s::text[], %(positions)s::bigint[])
    ON CONFLICT DO NOTHING
"""

_REMOVE_ANOMALIES = """
    DELETE FROM donation_anomalies AS noted
    USING unnest(%(ids)s::uuid[], %(kinds)s::text[], %(positions)s::bigint[])
        AS given(donation_id, kind, position)
    WHERE noted.donation_id = given.donation_id AND noted.kind = given.kind
      AND noted.position = given.position
"""


def insert(db: Connection, facts: Mapping[UUID, Fact]) -> set[UUID]:
    """Insert the donations that are not there yet; returns the others."""
    some = db.exec_driver_sql(_INSERT, {**_arrays(facts), "given": len(facts)}).scalar_one()
    return set() if some is None else facts.keys() - set(some)


def lock(db: Connection, ids: Collection[UUID]) -> dict[UUID, Fact]:
    """Lock donations until the transaction ends, and read them."""
    if not ids:
        return {}
    rows = db.exec_driver_sql(_LOCK, {"ids": array(ids)}).all()
    return {
        donation_id: Fact(Gift(*gift) if gift[0] is not None else None, refunded, refund_count)
        for donation_id, refunded, refund_count, *gift in rows
    }


def update(db: Connection, facts: Mapping[UUID, Fact]) -> None:
    """Write donations that this transaction has locked."""
    if facts:
        db.exec_driver_sql(_UPDATE, _arrays(facts))


def add_anomalies(db: Connection, anomalies: Collection[Anomaly]) -> None:
    """Note anomalies; those that are noted already stay."""
    if anomalies:
        db.exec_driver_sql(_ADD_ANOMALIES, arrays(("ids", "kinds", "positions"), anomalies))


def remove_anomalies(db: Connection, anomalies: Collection[Anomaly]) -> None:
    """Remove anomalies that turned out to be none."""
    if anomalies:
        db.exec_driver_sql(_REMOVE_ANOMALIES, arrays(("ids", "kinds", "positions"), anomalies))


def _arrays(facts: Mapping[UUID, Fact]) -> dict[str, Array]:
    rows = [(key, *(fact.gift or _NO_GIFT), fact.refunded, fact.refund_count) for key, fact in facts.items()]
    return arrays(_NAMES, rows)

"""SQL on single donations: their facts and anomalies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns, array
from fundlyhub.processors.projections.campaign_stats.fold import Fact, Gift

Anomaly = tuple[UUID, str, int]
"""Donation, kind, position."""

_NO_GIFT = (None,) * len(Gift._fields)

_FACTS = Columns(
    "donation_id", donation_id="uuid", position="bigint", campaign_id="uuid", currency="code", donor_id="uuid",
    amount="numeric", donated_at="timestamptz", event_id="uuid", refunded="numeric", refund_count="integer",
)  # fmt: skip

# Waits for another transaction that inserts the same donation; after this, all of them are there. Sorted, so that two
# batches cannot deadlock. Returns the inserted ids only where not all were new: usually the answer is one null.
_INSERT = f"""
    WITH inserted AS (
        INSERT INTO donation_facts ({_FACTS}) SELECT * FROM {_FACTS.given} ORDER BY donation_id
        ON CONFLICT (donation_id) DO NOTHING RETURNING donation_id
    )
    SELECT CASE WHEN count(*) <> %(number)s THEN coalesce(array_agg(donation_id), '{{}}') END FROM inserted
"""  # noqa: S608 - put together from constants
_LOCK = f"""
    SELECT {_FACTS} FROM donation_facts WHERE donation_id = ANY (%(ids)s::uuid[]) ORDER BY donation_id FOR UPDATE
"""  # noqa: S608
_UPDATE = f"""
    UPDATE donation_facts AS fact SET {_FACTS.assigned} FROM {_FACTS.given} WHERE fact.donation_id = given.donation_id
"""  # noqa: S608

_ANOMALIES = Columns(donation_id="uuid", kind="code", position="bigint")
_ADD_ANOMALIES = f"""
    INSERT INTO donation_anomalies ({_ANOMALIES}) SELECT * FROM {_ANOMALIES.given} ON CONFLICT DO NOTHING
"""  # noqa: S608
_REMOVE_ANOMALIES = f"""
    DELETE FROM donation_anomalies AS noted USING {_ANOMALIES.given}
    WHERE (noted.donation_id, noted.kind, noted.position) = (given.donation_id, given.kind, given.position)
"""  # noqa: S608


def insert(db: Connection, facts: Mapping[UUID, Fact]) -> set[UUID]:
    """Insert the donations that are not there yet; returns the others."""
    some = db.exec_driver_sql(_INSERT, {**_bound(facts), "number": len(facts)}).scalar_one()
    return set() if some is None else facts.keys() - set(some)


def lock(db: Connection, ids: Collection[UUID]) -> dict[UUID, Fact]:
    """Lock donations until the transaction ends, and read them."""
    if not ids:
        return {}
    rows = db.exec_driver_sql(_LOCK, {"ids": array(ids)}).all()
    return {
        donation_id: Fact(Gift(*gift) if gift[0] is not None else None, refunded, refund_count)
        for donation_id, *gift, refunded, refund_count in rows
    }


def update(db: Connection, facts: Mapping[UUID, Fact]) -> None:
    """Write donations that this transaction has locked."""
    if facts:
        db.exec_driver_sql(_UPDATE, _bound(facts))


def add_anomalies(db: Connection, anomalies: Collection[Anomaly]) -> None:
    """Note anomalies; those that are noted already stay."""
    if anomalies:
        db.exec_driver_sql(_ADD_ANOMALIES, _ANOMALIES.bound(anomalies))


def remove_anomalies(db: Connection, anomalies: Collection[Anomaly]) -> None:
    """Remove anomalies that turned out to be none."""
    if anomalies:
        db.exec_driver_sql(_REMOVE_ANOMALIES, _ANOMALIES.bound(anomalies))


def _bound(facts: Mapping[UUID, Fact]) -> dict[str, Any]:
    return _FACTS.bound(
        (key, *(fact.gift or _NO_GIFT), fact.refunded, fact.refund_count) for key, fact in facts.items()
    )

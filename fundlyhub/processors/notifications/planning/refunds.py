"""The amounts in messages about refunds: how much each one reports, and the total with earlier messages.

Two producers report a refund, and the amounts of one of them are cumulative, so an event's amount is not what the donor
gets by it. Each message's amounts are written down when it is planned (`refund_tellings`), so that a resumed run says
the same, and the donor reads of each part once, in whatever order the events come.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal, localcontext
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationRefunded
from fundlyhub.processors.shared import refunds
from fundlyhub.processors.shared.refunds import EXACT, NOTHING, Refund, Refunds

_refunds = Refunds("gift_refunds")

# Two messages about one donation are planned one after the other. Sorted, and before contacts are locked, so that two
# workers cannot deadlock.
_LOCK = """
    SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended(id::text, 7) AS key FROM unnest(%(ids)s::uuid[]) AS given(id) ORDER BY key
    ) AS keys
"""
_TOLD = "SELECT event_id, amount, total FROM refund_tellings WHERE donation_id = %(donation_id)s"
_TELL = """
    INSERT INTO refund_tellings (donation_id, event_id, amount, total)
    VALUES (%(donation_id)s, %(event_id)s, %(amount)s, %(total)s)
    ON CONFLICT DO NOTHING
"""


class Telling(NamedTuple):
    """The amounts of one message: what was returned, and the total with earlier messages."""

    amount: Decimal
    total: Decimal


def lock(db: Connection, donations: Collection[UUID]) -> None:
    """Lock the messages about refunds of these donations until the transaction ends."""
    if donations:
        db.exec_driver_sql(_LOCK, {"ids": array(donations)})


def find(db: Connection, event: Event, refund: DonationRefunded) -> Telling | None:
    """The amounts of this event's message; None as long as its refund is not written down.

    An amount of 0 means that other messages report all that was returned. The amounts of an earlier run stay.
    """
    found = db.exec_driver_sql(_TOLD, {"donation_id": refund.donation_id}).all()
    told = {event_id: Telling(amount, total) for event_id, amount, total in found}
    if event.id in told:
        return told[event.id]
    known = _refunds.read(db, [refund.donation_id])[refund.donation_id]
    ((name, mine),) = refunds.said([event])[refund.donation_id].items()
    if name not in known or refunds.join(known[name], mine) != known[name]:
        return None
    with localcontext(EXACT):
        before = sum((one.amount for one in told.values()), NOTHING)
    amount = _amount(mine, known[name], before, refunds.total(known.values()))
    return Telling(amount, EXACT.add(before, amount))


def _amount(mine: Refund, known: Refund, before: Decimal, total: Decimal) -> Decimal:
    """A cumulative amount includes what was reported before; a single one is added, as far as that much was returned.

    If both producers report a refund id, only the cumulative message counts.
    """
    said = NOTHING
    if mine.cumulative:
        said = EXACT.subtract(mine.amount, before)
    elif known.highest is None:
        said = mine.amount
    return max(NOTHING, min(said, EXACT.subtract(total, before)))


def write_down(db: Connection, event: Event, refund: DonationRefunded, telling: Telling) -> None:
    """Write down the amounts of a message, in the transaction that plans it."""
    given = {"donation_id": refund.donation_id, "event_id": event.id, **telling._asdict()}
    db.exec_driver_sql(_TELL, given)

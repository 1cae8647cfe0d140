"""What a message about a refund tells: how much was returned beside what others tell, and how much that is in all.

Two producers tell of one refund, and the amounts of one of them are cumulative, so the amount of an event is not what
the donor gets by it. What each message tells is written down when the message is planned. The donor of a gift is told
what was returned, each part once, whatever order the events come in.
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
from fundlyhub.processors.writes.recipients.tables import gift_refunds

_refunds = Refunds(gift_refunds)

# Two messages about one gift are planned one after the other. Sorted, and before contacts are locked: two workers
# never wait for each other in a ring.
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
    """What one message tells: what was returned, and what that is together with what other messages tell."""

    amount: Decimal
    total: Decimal


def lock(db: Connection, donations: Collection[UUID]) -> None:
    """Let nobody else plan messages about refunds of these donations until the transaction ends."""
    if donations:
        db.exec_driver_sql(_LOCK, {"ids": array(donations)})


def find(db: Connection, event: Event, refund: DonationRefunded) -> Telling | None:
    """What the message of this event tells; None as long as its refund is not written down.

    An amount of 0 means that others tell of all that was returned. What an earlier run has written down stays.
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
    """A cumulative amount holds what was told before; a single one comes on top of it, if as much was returned.

    Of a refund id of which both producers tell, only the cumulative message does.
    """
    said = NOTHING
    if mine.cumulative:
        said = EXACT.subtract(mine.amount, before)
    elif known.highest is None:
        said = mine.amount
    return max(NOTHING, min(said, EXACT.subtract(total, before)))


def write_down(db: Connection, event: Event, refund: DonationRefunded, telling: Telling) -> None:
    """Keep what a message tells, in the transaction that plans it; once is enough."""
    given = {"donation_id": refund.donation_id, "event_id": event.id, **telling._asdict()}
    db.exec_driver_sql(_TELL, given)

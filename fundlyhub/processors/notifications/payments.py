"""One payment of a campaign is told once, under whatever donation ids the platform has written it down.

The platform looks for a donation of a payment, finds none, and writes one; of two who do that at once both write. The
donation of the lower position is the one that counts. The other is held for a person. Where its message was quicker,
before anything was known of the first, the first is held: nobody gets two receipts for one payment.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID, uuid5

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted

_PAYMENTS = UUID("0f3c1f5e-9f0b-5b8e-8d0b-5f4f6f1f7a21")

# In the order of the key, so that two workers never wait for each other in a ring; of two in one batch the lower
# position is first. What is known to be another's is not taken.
_TAKE = """
    INSERT INTO payment_tellings (payment, donation_id)
    SELECT payment, donation_id
    FROM unnest(%(payments)s::uuid[], %(donations)s::uuid[], %(positions)s::bigint[], %(campaigns)s::uuid[],
                %(providers)s::text[], %(transactions)s::text[])
        AS given(payment, donation_id, position, campaign_id, provider, transaction)
    WHERE NOT EXISTS (
        SELECT FROM gift_donors AS gift
        WHERE gift.transaction_id = given.transaction AND gift.payment_provider = given.provider
          AND gift.campaign_id = given.campaign_id AND gift.position < given.position
          AND gift.donation_id <> given.donation_id
    )
    ORDER BY payment, position
    ON CONFLICT DO NOTHING
"""
_TAKEN = """
    SELECT donation_id FROM payment_tellings
    JOIN unnest(%(payments)s::uuid[], %(donations)s::uuid[]) AS given(payment, donation_id) USING (payment, donation_id)
"""


def payment_of(gift: DonationCompleted) -> UUID:
    """The payment of a gift to one campaign. One transaction may pay for gifts to several campaigns."""
    return uuid5(_PAYMENTS, "\0".join((str(gift.campaign_id), gift.payment_provider, gift.transaction_id)))


def take(db: Connection, events: Collection[Event]) -> set[UUID]:
    """Which of these donations are the ones that may be told of their payments, until a person says otherwise."""
    gifts = [(event.position, event.payload) for event in events if isinstance(event.payload, DonationCompleted)]
    if not gifts:
        return set()
    given = {
        "payments": array(payment_of(gift) for _, gift in gifts),
        "donations": array(gift.donation_id for _, gift in gifts),
        "positions": array(position for position, _ in gifts),
        "campaigns": array(gift.campaign_id for _, gift in gifts),
        # Both may be any text: psycopg quotes them.
        "providers": [gift.payment_provider for _, gift in gifts],
        "transactions": [gift.transaction_id for _, gift in gifts],
    }
    db.exec_driver_sql(_TAKE, given)
    return {donation for (donation,) in db.exec_driver_sql(_TAKEN, given)}

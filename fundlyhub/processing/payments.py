"""Repeated payments: two donations of one campaign with the same provider and transaction.

The platform looks for a donation of a payment and inserts one when it finds none; two requests at the same time both
insert. The donation with the lowest position in the log counts. Every processor gets the others as dead letters
(``RepeatedPayment``) until a person accepts or refuses them. Which donation was first follows from the log alone, since
an event is delivered only after all events below its position: so all processors agree, in any order of delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.database.audited import named, reasoned
from fundlyhub.errors import RepeatedPayment, WrongState
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted
from fundlyhub.processing import dead_letters

UNDECIDED = "another donation of the same payment counts: accept or refuse this one with `fundlyhub payments`"
REFUSED = "another donation of the same payment counts, and this one was refused with `fundlyhub payments`"


def _hex(value: str) -> str:
    """SQL for the digits of a UUID in any of its spellings; no text makes it fail."""
    return f"translate(replace(lower({value}), 'urn:uuid:', ''), '{{}}-', '')"


def _key(payload: str) -> str:
    """SQL for the key of a payment to a campaign: short enough for an index, whatever the texts are."""
    campaign = _hex(f"{payload} ->> 'campaignId'")
    return (
        f"md5({campaign} || ' ' || ({payload} ->> 'paymentProvider') || ' ' || ({payload} ->> 'transactionId'))::uuid"
    )


def _first(key: str, before: str) -> str:
    """SQL for the donation of a payment's first event, if that lies below a position."""
    return f"""(
        SELECT log.payload ->> 'donationId' AS donation FROM events.events log
        WHERE log.type = 'donation.completed' AND {_key("log.payload")} = {key} AND log.position < {before}
        ORDER BY log.position LIMIT 1
    )"""  # noqa: S608 - put together from constants


# Nearly always there is no earlier one, which the index alone tells. What was refused stays so when the first one is in
# an archive.
_REPEATED = f"""
    SELECT given.position, decision.accepted IS NOT NULL
    FROM unnest(%(positions)s::bigint[], %(keys)s::uuid[], %(donations)s::uuid[]) AS given(position, key, donation_id)
    LEFT JOIN LATERAL {_first("given.key", "given.position")} first ON true
    LEFT JOIN events.payment_decisions decision USING (donation_id)
    WHERE NOT decision.accepted OR decision.accepted IS NULL AND first.donation IS NOT NULL
                               AND {_hex("first.donation")} <> {_hex("donation_id::text")}
"""  # noqa: S608 - put together from constants
_FIND = f"""
    SELECT left(e.payload ->> 'donationId', 100), left(first.donation, 100), left(e.payload ->> 'campaignId', 100),
           left(e.payload ->> 'paymentProvider', 300), left(e.payload ->> 'transactionId', 300),
           left(e.payload ->> 'amount', 300), left(coalesce(e.payload ->> 'currency', 'USD'), 100),
           letters.since, letters.held_by, decision.accepted, decision.who, decision.reason, decision.decided_at
    FROM (
        SELECT position, min(first_failed_at) AS since,
               coalesce(array_agg(processor ORDER BY processor) FILTER (WHERE state = 'open'), '{{}}') AS held_by
        FROM events.dead_letters WHERE error_class = 'RepeatedPayment' GROUP BY position
    ) letters JOIN events.events e USING (position)
    LEFT JOIN LATERAL {_first(_key("e.payload"), "e.position")} first ON true
    LEFT JOIN events.payment_decisions decision
           ON {_hex("decision.donation_id::text")} = {_hex("e.payload ->> 'donationId'")}
    WHERE %(decided)s OR decision.accepted IS NULL OR letters.held_by <> '{{}}'
    ORDER BY letters.since, e.position LIMIT %(limit)s
"""  # noqa: S608 - put together from constants
_LETTERS = f"""
    SELECT d.id FROM events.dead_letters d JOIN events.events e USING (position)
    WHERE d.error_class = 'RepeatedPayment' AND {_hex("e.payload ->> 'donationId'")} = %(hex)s ORDER BY d.id
"""  # noqa: S608 - put together from constants
# What counts by now cannot be taken back here: a refund does that.
_DECIDE = """
    INSERT INTO events.payment_decisions AS known (donation_id, accepted, who, reason)
    VALUES (%(donation)s, %(accepted)s, %(who)s, %(reason)s)
    ON CONFLICT (donation_id) DO UPDATE
        SET accepted = excluded.accepted, who = excluded.who, reason = excluded.reason, decided_at = DEFAULT
        WHERE NOT known.accepted
    RETURNING accepted
"""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A donation whose payment counts already as ``first_id``; texts are as they stand in the log."""

    donation_id: str
    first_id: str | None
    """None when the first one is in an archive."""
    campaign_id: str
    provider: str
    transaction_id: str
    amount: str
    currency: str
    since: datetime
    held_by: Sequence[str]
    """Processors that have it as an open dead letter."""
    accepted: bool | None
    """What was decided, by ``who``, for this ``reason``, at ``decided_at``; None while nothing is."""
    who: str | None
    reason: str | None
    decided_at: datetime | None


def repeated(db: Connection, events: Sequence[Event]) -> dict[int, RepeatedPayment]:
    """Those of these events that are not to be run, by position; ``db`` is a connection to the Events DB."""
    gifts = [(one.position, one.payload) for one in events if isinstance(one.payload, DonationCompleted)]
    gifts = [(position, gift) for position, gift in gifts if gift.transaction_id]  # nothing is told by an empty one
    if not gifts:
        return {}
    given = {
        "positions": array(position for position, _ in gifts),
        "keys": array(_key_of(gift) for _, gift in gifts),
        "donations": array(gift.donation_id for _, gift in gifts),
    }
    rows = db.exec_driver_sql(_REPEATED, given).all()
    return {position: RepeatedPayment(REFUSED if decided else UNDECIDED) for position, decided in rows}


def _key_of(gift: DonationCompleted) -> str:
    texts = f"{gift.campaign_id.hex} {gift.payment_provider} {gift.transaction_id}"
    return md5(texts.encode(), usedforsecurity=False).hexdigest()


def find(db: Connection, *, decided: bool, limit: int) -> list[Repeated]:
    """Repeated payments, the oldest first: those that wait for a decision, or ``decided`` ones too."""
    return [Repeated(*row) for row in db.exec_driver_sql(_FIND, {"decided": decided, "limit": limit})]


def accept(db: Connection, donation: UUID, *, who: str, reason: str) -> list[int]:
    """Let this donation count too; returns its dead letters, which are open now and to be replayed.

    Raises WrongState when it is no repeated payment, and WrongUse without a name or a reason.
    """
    letters = _decide(db, donation, accepted=True, who=who, reason=reason)
    dead_letters.restore(db, letters, who=who, reason=reason)
    return letters


def refuse(db: Connection, donation: UUID, *, who: str, reason: str) -> list[int]:
    """Let this donation never count; returns its dead letters, which are discarded now.

    Raises WrongState when it is no repeated payment or counts already, and WrongUse without a name or a reason.
    """
    letters = _decide(db, donation, accepted=False, who=who, reason=reason)
    dead_letters.discard(db, letters, who=who, reason=reason)
    return letters


def _decide(db: Connection, donation: UUID, *, accepted: bool, who: str, reason: str) -> list[int]:
    letters = list(db.exec_driver_sql(_LETTERS, {"hex": donation.hex}).scalars())
    if not letters:
        raise WrongState(f"{donation} is not the donation of a repeated payment")
    given = {"donation": donation, "accepted": accepted, "who": named(who), "reason": reasoned(reason)}
    if db.exec_driver_sql(_DECIDE, given).first() is None and not accepted:
        raise WrongState(f"{donation} has been accepted and counts: if the payment was returned, publish the refund")
    return letters

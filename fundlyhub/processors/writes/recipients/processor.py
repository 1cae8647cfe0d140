"""The processor of recipients: contacts, donors, payout requests and sign-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted, DonationRefunded
from fundlyhub.events.catalogue.payout import PayoutRequested
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.processing import WriteProcessor
from fundlyhub.processors.shared import last_writer_fields, refunds
from fundlyhub.processors.shared.entity_changes import STATES, payloads_of, told
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.shared.refunds import Refunds
from fundlyhub.processors.writes.recipients.places import place_of
from fundlyhub.processors.writes.recipients.tables import gift_refunds

_refunds = Refunds(gift_refunds)

Row = dict[str, Any]
"""Columns by name."""

_ANY_TEXT = frozenset({"email", "name", "transaction_id"})
"""Columns that psycopg quotes."""
_WANTED = {"user": frozenset({"name", "email", "suspended", "deleted"})}
_STATES = {kind: STATES[kind] for kind in ("payout", "bank_account")}
"""States of payouts, so that overtaken ones are not sent; other kinds are written by ``reference_write``."""

_MAKE = """
    INSERT INTO contacts (user_id) SELECT * FROM unnest(%(ids)s::uuid[]) AS given(id)
    ORDER BY id ON CONFLICT DO NOTHING
"""
_LOCK = "SELECT 1 FROM contacts WHERE user_id = ANY (%(ids)s::uuid[]) ORDER BY user_id FOR UPDATE"
# A column that no event has set stays as the API service wrote it; a deleted user's columns are emptied.
_UPDATE = """
    UPDATE contacts SET
        name = CASE WHEN NOT given.deleted THEN coalesce(given.name, contacts.name) END,
        email = CASE WHEN NOT given.deleted THEN coalesce(given.email, contacts.email) END,
        phone = CASE WHEN NOT given.deleted THEN contacts.phone END,
        suspended = given.suspended, deleted = given.deleted
    FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(emails)s::text[], %(suspended)s::boolean[],
                %(deleted)s::boolean[])
        AS given(user_id, name, email, suspended, deleted)
    WHERE contacts.user_id = given.user_id
"""
_FORGET = """
    UPDATE entity_fields SET value = 'null' WHERE kind = 'contact' AND field IN ('name', 'email')
        AND id = ANY (%(ids)s::uuid[])
"""
_FORGET_DEVICES = "DELETE FROM devices WHERE user_id = ANY (%(ids)s::uuid[])"

# Of two events about the same, the one with the lower position counts, in any order. Sorted, so that two batches cannot
# deadlock.
_DONORS = """
    INSERT INTO gift_donors AS known (donation_id, position, campaign_id, donor_id, amount, currency, email, name,
                                      transaction_id)
    SELECT * FROM unnest(%(donation_id)s::uuid[], %(position)s::bigint[], %(campaign_id)s::uuid[], %(donor_id)s::uuid[],
                         %(amount)s::numeric[], %(currency)s::text[], %(email)s::text[], %(name)s::text[],
                         %(transaction_id)s::text[])
        AS given(donation_id)
    ORDER BY donation_id
    ON CONFLICT (donation_id) DO UPDATE
    SET position = excluded.position, campaign_id = excluded.campaign_id, donor_id = excluded.donor_id,
        email = excluded.email, name = excluded.name, amount = excluded.amount, currency = excluded.currency,
        transaction_id = excluded.transaction_id
    WHERE excluded.position < known.position
       OR (excluded.position = known.position AND known.transaction_id IS NULL)
"""
_PAYOUTS = """
    INSERT INTO payout_requests AS known (request_id, position, user_id, amount, currency)
    SELECT * FROM unnest(%(request_id)s::uuid[], %(position)s::bigint[], %(user_id)s::uuid[], %(amount)s::numeric[],
                         %(currency)s::text[])
        AS given(request_id)
    ORDER BY request_id
    ON CONFLICT (request_id) DO UPDATE
    SET position = excluded.position, user_id = excluded.user_id, amount = excluded.amount,
        currency = excluded.currency
    WHERE excluded.position < known.position
"""
_SIGN_INS = """
    INSERT INTO sign_ins AS known (user_id, place, occurred_at, position)
    SELECT * FROM unnest(%(user_id)s::uuid[], %(place)s::text[], %(occurred_at)s::timestamptz[], %(position)s::bigint[])
        AS given(user_id, place)
    ORDER BY user_id, place
    ON CONFLICT (user_id, place) DO UPDATE SET occurred_at = excluded.occurred_at, position = excluded.position
    WHERE (excluded.occurred_at, excluded.position) < (known.occurred_at, known.position)
"""


class RecipientWriteProcessor(WriteProcessor):
    """Names and addresses of users, donors, payout requests and sign-ins, for messages to the users themselves."""

    handles = (*payloads_of("user", *_STATES), DonationCompleted, DonationRefunded, UserLoggedIn)

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Write contacts, then the rest; each table in the order of its keys."""
        _contacts(db, events)
        donors = [_donor(e, e.payload) for e in events if isinstance(e.payload, DonationCompleted)]
        payouts = [_payout(e, e.payload) for e in events if isinstance(e.payload, PayoutRequested)]
        sign_ins = [_sign_in(e, e.payload) for e in events if isinstance(e.payload, UserLoggedIn)]
        _write_firsts(db, _DONORS, donors, key=itemgetter("donation_id"), clock=itemgetter("position"))
        _write_firsts(db, _PAYOUTS, payouts, key=itemgetter("request_id"), clock=itemgetter("position"))
        _write_firsts(
            db, _SIGN_INS, sign_ins, key=itemgetter("user_id", "place"), clock=itemgetter("occurred_at", "position")
        )
        _refunds.add(db, refunds.said(events))
        last_writer_fields.write(db, last_writer_fields.latest(told(events, _STATES)))


def _contacts(db: Connection, events: Sequence[Event]) -> None:
    said = ((Entity("contact", entity.id), field, write) for entity, field, write in told(events, _WANTED))
    writes = last_writer_fields.latest(said)
    touched = sorted({entity for entity, _ in writes})
    if not touched:
        return
    ids = {"ids": array(entity.id for entity in touched)}
    db.exec_driver_sql(_MAKE, ids)
    db.exec_driver_sql(_LOCK, ids)
    last_writer_fields.write(db, writes)
    known = last_writer_fields.read(db, touched)
    rows = [known[entity] for entity in touched]
    given = {
        **ids,
        "names": [fields.get("name") for fields in rows],
        "emails": [fields.get("email") for fields in rows],
        "suspended": array(bool(fields.get("suspended")) for fields in rows),
        "deleted": array(bool(fields.get("deleted")) for fields in rows),
    }
    db.exec_driver_sql(_UPDATE, given)
    if gone := [entity.id for entity in touched if known[entity].get("deleted")]:
        db.exec_driver_sql(_FORGET, {"ids": array(gone)})
        db.exec_driver_sql(_FORGET_DEVICES, {"ids": array(gone)})


def _write_firsts(
    db: Connection, sql: str, rows: Iterable[Row], *, key: Callable[[Row], Any], clock: Callable[[Row], Any]
) -> None:
    """Write rows in one statement, which must not have a key twice: of each key the row with the lowest clock."""
    firsts: dict[Any, Row] = {}
    for row in rows:
        known = firsts.setdefault(key(row), row)
        if clock(row) < clock(known):
            firsts[key(row)] = row
    if firsts:
        kept = list(firsts.values())
        db.exec_driver_sql(sql, {name: _column(name, [row[name] for row in kept]) for name in kept[0]})


def _column(name: str, values: list[Any]) -> list[Any] | str:
    return values if name in _ANY_TEXT else array(values)


def _donor(event: Event, payload: DonationCompleted) -> Row:
    """The donor of a donation; a guest's address is kept here, a user's is in the contact."""
    guest = payload.donor_id is None
    return {
        "donation_id": payload.donation_id, "position": event.position, "campaign_id": payload.campaign_id,
        "donor_id": payload.donor_id, "email": payload.donor_email if guest else None,
        "name": payload.donor_name if guest else None, "amount": payload.amount, "currency": payload.currency,
        "transaction_id": payload.transaction_id,
    }  # fmt: skip


def _payout(event: Event, payload: PayoutRequested) -> Row:
    return {
        "request_id": payload.request_id, "position": event.position, "user_id": payload.user_id,
        "amount": payload.amount, "currency": payload.currency,
    }  # fmt: skip


def _sign_in(event: Event, payload: UserLoggedIn) -> Row:
    return {
        "user_id": payload.user_id, "place": place_of(payload), "occurred_at": event.timestamp,
        "position": event.position,
    }  # fmt: skip

"""The processor of recipients: contacts, donors, payout requests and sign-ins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns, array
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted, DonationRefunded
from fundlyhub.events.catalogue.payout import PayoutRequested
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.events.personal import is_erased
from fundlyhub.processing import DerivedTable, WriteProcessor
from fundlyhub.processors.shared import last_writer_fields, refunds
from fundlyhub.processors.shared.entity_changes import STATES, payloads_of, told
from fundlyhub.processors.shared.event_ids import names_event
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.shared.refunds import Refunds
from fundlyhub.processors.writes.recipients import erasing
from fundlyhub.processors.writes.recipients.places import place_of

_refunds = Refunds("gift_refunds")

Row = tuple[Any, ...]
_STATES = {kind: STATES[kind] for kind in ("payout", "bank_account")}
"""States of payouts, so that overtaken ones are not sent; other kinds are written by ``reference_write``."""

_MAKE = """
    INSERT INTO contacts (user_id) SELECT * FROM unnest(%(ids)s::uuid[]) AS given(id)
    ORDER BY id ON CONFLICT DO NOTHING
"""
# A column that no event has set stays as the API service wrote it; a deleted user's columns are emptied.
_CONTACTS = Columns(user_id="uuid", name="text", email="text", suspended="boolean", deleted="boolean")
_UPDATE = f"""
    UPDATE contacts SET
        name = CASE WHEN NOT given.deleted THEN coalesce(given.name, contacts.name) END,
        email = CASE WHEN NOT given.deleted THEN coalesce(given.email, contacts.email) END,
        phone = CASE WHEN NOT given.deleted THEN contacts.phone END,
        suspended = given.suspended, deleted = given.deleted
    FROM {_CONTACTS.given} WHERE contacts.user_id = given.user_id
"""  # noqa: S608 - put together from constants
_FORGET = """
    UPDATE entity_fields SET value = 'null' WHERE kind = 'contact' AND field IN ('name', 'email')
        AND id = ANY (%(ids)s::uuid[])
"""
_FORGET_DEVICES = "DELETE FROM devices WHERE user_id = ANY (%(ids)s::uuid[])"

# Of two events about the same, the one with the lower position counts, in any order; one event counts where the log has
# it now, which is another place if the log has lost its tail meanwhile. Sorted, so that two batches cannot deadlock.
_GIVES_WAY = """CASE WHEN excluded.event_id = known.event_id THEN excluded.position <> known.position
               ELSE excluded.position < known.position END"""
_DONORS = Columns(
    donation_id="uuid", position="bigint", campaign_id="uuid", donor_id="uuid", email="text", name="text",
    amount="numeric", currency="code", transaction_id="text", event_id="uuid",
)  # fmt: skip
_WRITE_DONORS = f"""
    INSERT INTO gift_donors AS known ({_DONORS}) SELECT * FROM {_DONORS.given} ORDER BY donation_id
    ON CONFLICT (donation_id) DO UPDATE
    SET position = excluded.position, campaign_id = excluded.campaign_id, donor_id = excluded.donor_id,
        email = excluded.email, name = excluded.name, amount = excluded.amount, currency = excluded.currency,
        transaction_id = excluded.transaction_id, event_id = excluded.event_id
    WHERE {_GIVES_WAY}
       OR (excluded.position = known.position AND known.transaction_id IS NULL)
"""  # noqa: S608 - put together from constants
_PAYOUTS = Columns(
    request_id="uuid", position="bigint", user_id="uuid", amount="numeric", currency="code", event_id="uuid"
)
_WRITE_PAYOUTS = f"""
    INSERT INTO payout_requests AS known ({_PAYOUTS}) SELECT * FROM {_PAYOUTS.given} ORDER BY request_id
    ON CONFLICT (request_id) DO UPDATE
    SET position = excluded.position, user_id = excluded.user_id, amount = excluded.amount,
        currency = excluded.currency, event_id = excluded.event_id
    WHERE {_GIVES_WAY}
"""  # noqa: S608
_SIGN_INS = Columns(user_id="uuid", place="code", occurred_at="timestamptz", position="bigint", event_id="uuid")
_WRITE_SIGN_INS = f"""
    INSERT INTO sign_ins AS known ({_SIGN_INS}) SELECT * FROM {_SIGN_INS.given} ORDER BY user_id, place
    ON CONFLICT (user_id, place) DO UPDATE
    SET occurred_at = excluded.occurred_at, position = excluded.position, event_id = excluded.event_id
    WHERE CASE WHEN excluded.event_id = known.event_id THEN excluded.position <> known.position
               ELSE (excluded.occurred_at, excluded.position) < (known.occurred_at, known.position) END
"""  # noqa: S608


def _from_events(column: str) -> str:
    """A column of a contact as far as events set it: where none has, it is the API service's."""
    return f"""CASE WHEN deleted OR EXISTS (
        SELECT FROM {{schema}}.entity_fields AS written
        WHERE written.kind = 'contact' AND written.id = user_id AND written.field = '{column}'
    ) THEN {column} END"""


class RecipientWriteProcessor(WriteProcessor):
    """Names and addresses of users, donors, payout requests and sign-ins, for messages to the users themselves."""

    handles = (*payloads_of("user", *_STATES), DonationCompleted, DonationRefunded, UserLoggedIn)
    tables = (
        DerivedTable("entity_fields", where="kind IN ('contact', 'payout', 'bank_account')"),
        DerivedTable(
            "contacts",
            ignored=dict.fromkeys(("phone", "locale", "time_zone", "quiet_from", "quiet_until"), "the API service's"),
            expressions={column: _from_events(column) for column in ("name", "email")},
            others_insert=True,
        ),
        names_event("gift_donors"),
        "gift_refunds",
        names_event("payout_requests"),
        names_event("sign_ins"),
    )

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Write contacts, then the rest; each table in the order of its keys."""
        _contacts(db, events)
        donors = [_donor(e, e.payload) for e in events if isinstance(e.payload, DonationCompleted)]
        payouts = [_payout(e, e.payload) for e in events if isinstance(e.payload, PayoutRequested)]
        sign_ins = [_sign_in(e, e.payload) for e in events if isinstance(e.payload, UserLoggedIn) and not is_erased(e)]
        _write_firsts(db, _WRITE_DONORS, _DONORS, donors, key=1, clock=1)
        _write_firsts(db, _WRITE_PAYOUTS, _PAYOUTS, payouts, key=1, clock=1)
        _write_firsts(db, _WRITE_SIGN_INS, _SIGN_INS, sign_ins, key=2, clock=2)
        _refunds.add(db, refunds.said(events))
        last_writer_fields.write(db, last_writer_fields.latest(told(events, _STATES)))

    @classmethod
    def erase(cls, events: Sequence[Event], db: Connection) -> None:
        """Take out names and addresses of contacts, guests of donations, and sign-ins."""
        erasing.erase(db, events)


def _contacts(db: Connection, events: Sequence[Event]) -> None:
    said = ((Entity("contact", entity.id), field, write) for entity, field, write in told(events, erasing.WANTED))
    writes = last_writer_fields.latest(said)
    touched = sorted({entity for entity, _ in writes})
    if not touched:
        return
    ids = {"ids": array(entity.id for entity in touched)}
    db.exec_driver_sql(_MAKE, ids)
    db.exec_driver_sql(erasing.LOCK, ids)
    last_writer_fields.write(db, writes)
    known = last_writer_fields.read(db, touched)
    rows = (
        (one.id, said.get("name"), said.get("email"), bool(said.get("suspended")), bool(said.get("deleted")))
        for one, said in known.items()
    )
    db.exec_driver_sql(_UPDATE, _CONTACTS.bound(rows))
    if gone := [entity.id for entity in touched if known[entity].get("deleted")]:
        db.exec_driver_sql(_FORGET, {"ids": array(gone)})
        db.exec_driver_sql(_FORGET_DEVICES, {"ids": array(gone)})


def _write_firsts(db: Connection, sql: str, columns: Columns, rows: Iterable[Row], *, key: int, clock: int) -> None:
    """Write rows in one statement, which must not have a key twice: of each key the row with the lowest clock.

    ``key`` and ``clock`` are how many columns each has; a row begins with them.
    """
    firsts: dict[Row, Row] = {}
    for row in rows:
        known = firsts.setdefault(row[:key], row)
        if row[key : key + clock] < known[key : key + clock]:
            firsts[row[:key]] = row
    if firsts:
        db.exec_driver_sql(sql, columns.bound(firsts.values()))


def _donor(event: Event, paid: DonationCompleted) -> Row:
    """The donor of a donation; a guest's address is kept here, a user's is in the contact."""
    email, name = (paid.donor_email, paid.donor_name) if paid.donor_id is None else (None, None)
    return (
        paid.donation_id, event.position, paid.campaign_id, paid.donor_id, email, name, paid.amount, paid.currency,
        paid.transaction_id, event.id,
    )  # fmt: skip


def _payout(event: Event, asked: PayoutRequested) -> Row:
    return asked.request_id, event.position, asked.user_id, asked.amount, asked.currency, event.id


def _sign_in(event: Event, payload: UserLoggedIn) -> Row:
    return payload.user_id, place_of(payload), event.timestamp, event.position, event.id

"""Publishing: what `publish_event` costs a business transaction, against an INSERT into `events` written by hand.

Both write the same business row and the same event, on one connection, in turns of a few hundred transactions, so that
whatever the machine does meanwhile falls on both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import uuid4

import orjson
import psycopg
from sqlalchemy import Connection, create_engine, text

from benchmarks.data import Gift, gifts
from benchmarks.stage import Stage
from fundlyhub import DonationCompleted, Event, Payload, publish_event, publish_events

TURN = 200
"""Transactions of one kind before the other kind's turn."""

_BUSINESS = """
    INSERT INTO bench.gifts (event_id, campaign_id, donor_id, amount)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::numeric[])
"""
_INSERT = """
    INSERT INTO events.events (id, type, version, aggregate_type, aggregate_id, payload, occurred_at)
    SELECT id, 'donation.completed', '2.0.0', 'donation', donation, payload, at
    FROM unnest(%s::uuid[], %s::text[], %s::jsonb[], %s::timestamptz[]) AS given(id, donation, payload, at)
    RETURNING position
"""
_BUSINESS_ONE = "INSERT INTO bench.gifts (event_id, campaign_id, donor_id, amount) VALUES (%s, %s, %s, %s)"
_INSERT_ONE = """
    INSERT INTO events.events (id, type, version, aggregate_type, aggregate_id, payload, occurred_at)
    VALUES (%s, 'donation.completed', '2.0.0', 'donation', %s, %s, %s) RETURNING position
"""
# The same for SQLAlchemy, which has names.
_BUSINESS_NAMED = text("INSERT INTO bench.gifts (event_id, campaign_id, donor_id, amount) VALUES (:id, :c, :d, :a)")
_INSERT_NAMED = text("""
    INSERT INTO events.events (id, type, version, aggregate_type, aggregate_id, payload, occurred_at)
    VALUES (:id, 'donation.completed', '2.0.0', 'donation', :donation, CAST(:payload AS jsonb), :at) RETURNING position
""")

Chunk = Sequence[Gift]
Way = Callable[[Chunk], object]


def measure(stage: Stage, count: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Per kind of transaction: events a second by hand and by ours, and the share of the rate that ours loses."""
    with stage.place() as place, psycopg.connect(place.dsn) as db:
        engine = create_engine(place.dsn.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect() as connection:
            yield "1 event, psycopg", compare(count, 1, by_hand(db), ours(db))
            yield "1 event, SQLAlchemy", compare(count, 1, by_hand_named(connection), ours(connection))
            yield "100 events, psycopg", compare(10 * count, 100, by_hand_many(db), ours_many(db))
        engine.dispose()
        verify(place.value("SELECT count(*) FROM events.events e JOIN bench.gifts g ON g.event_id = e.id"), 24 * count)


def verify(found: int, wanted: int) -> None:
    """Every event is there, beside its business row."""
    assert found == wanted, f"{found} events of {wanted} are in the log"


def compare(count: int, per: int, hand: Way, ours: Way) -> dict[str, float]:
    """Both ways in turns, ``count`` events each."""
    spent = {hand: 0.0, ours: 0.0}
    turn = min(TURN, count // per)
    for _ in range(count // per // turn):
        for way in spent:
            chunks = list(_chunks(per, turn))
            began = time.perf_counter()
            for chunk in chunks:
                way(chunk)
            spent[way] += time.perf_counter() - began
    by_hand, by_ours = count / spent[hand], count / spent[ours]
    return {"by_hand_per_s": by_hand, "events_per_s": by_ours, "lost": 1 - by_ours / by_hand}


def by_hand(db: psycopg.Connection[Any]) -> Way:
    """Two statements and a commit."""

    def publish(chunk: Chunk) -> None:
        (gift,) = chunk
        db.execute(_BUSINESS_ONE, (gift.event_id, gift.campaign_id, gift.donor_id, gift.amount))
        db.execute(_INSERT_ONE, (gift.event_id, str(gift.donation_id), _payload(gift), gift.at)).fetchone()
        db.commit()

    return publish


def by_hand_named(db: Connection) -> Way:
    """The same through SQLAlchemy."""

    def publish(chunk: Chunk) -> None:
        (gift,) = chunk
        db.execute(_BUSINESS_NAMED, {"id": gift.event_id, "c": gift.campaign_id, "d": gift.donor_id, "a": gift.amount})
        event = {"id": gift.event_id, "donation": str(gift.donation_id), "payload": _payload(gift), "at": gift.at}
        db.execute(_INSERT_NAMED, event).one()
        db.commit()

    return publish


def by_hand_many(db: psycopg.Connection[Any]) -> Way:
    """Two statements for all of them."""

    def publish(chunk: Chunk) -> None:
        _business(db, chunk)
        columns = zip(*((g.event_id, str(g.donation_id), _payload(g), g.at) for g in chunk), strict=True)
        db.execute(_INSERT, [list(column) for column in columns]).fetchall()
        db.commit()

    return publish


def ours(db: psycopg.Connection[Any] | Connection) -> Way:
    """The business row, and `publish_event` in the same transaction."""

    def publish(chunk: Chunk) -> None:
        (gift,) = chunk
        if isinstance(db, Connection):
            row = {"id": gift.event_id, "c": gift.campaign_id, "d": gift.donor_id, "a": gift.amount}
            db.execute(_BUSINESS_NAMED, row)
        else:
            db.execute(_BUSINESS_ONE, (gift.event_id, gift.campaign_id, gift.donor_id, gift.amount))
        publish_event(checked(gift), session=db, id=gift.event_id)
        db.commit()

    return publish


def ours_many(db: psycopg.Connection[Any]) -> Way:
    """The business rows, and `publish_events`."""

    def publish(chunk: Chunk) -> None:
        _business(db, chunk)
        publish_events([Event.of(checked(gift), id=gift.event_id) for gift in chunk], session=db)
        db.commit()

    return publish


def _business(db: psycopg.Connection[Any], chunk: Chunk) -> None:
    columns = zip(*((g.event_id, g.campaign_id, g.donor_id, g.amount) for g in chunk), strict=True)
    db.execute(_BUSINESS, [list(column) for column in columns])


def _chunks(per: int, count: int) -> Iterator[Chunk]:
    """New donations, of ids that no turn before had."""
    new = (gift._replace(event_id=uuid4(), at=datetime.now(UTC)) for gift in gifts(per * count))
    while chunk := list(islice(new, per)):
        yield chunk


def _payload(gift: Gift) -> str:
    return orjson.dumps(
        {
            "donationId": str(gift.donation_id), "campaignId": str(gift.campaign_id), "donorId": str(gift.donor_id),
            "amount": float(gift.amount), "currency": "USD", "netAmount": float(gift.amount),
            "paymentProvider": "stripe", "transactionId": "pi_bench",
        }
    ).decode()  # fmt: skip


def checked(gift: Gift) -> Payload:
    return DonationCompleted(
        donation_id=gift.donation_id, campaign_id=gift.campaign_id, donor_id=gift.donor_id, amount=gift.amount,
        currency="USD", net_amount=gift.amount, payment_provider="stripe", transaction_id="pi_bench",
    )  # fmt: skip

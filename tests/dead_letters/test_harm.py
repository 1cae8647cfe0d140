"""What waits behind dead letters is counted from their events: people, campaigns and money by currency."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import uuid4

import psycopg

from fundlyhub import publish_events
from fundlyhub.database import connect, get_engine
from fundlyhub.processing.dead_letters import Filter, Harm, harm_of
from fundlyhub.settings import Settings
from tests.support.make import campaign, completed, search

LETTERS = """
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
                                     fingerprint, attempts, first_failed_at, last_failed_at, state)
    SELECT 'campaign_stats', position, id, type, 'X', '', '', 'f', 1, now(), now(), 'open' FROM events.events
"""


def harm(most: int = 100) -> Harm:
    with get_engine("events").begin() as db:
        return harm_of(db, Filter(fingerprint="f"), most=most)


def lettered(db: psycopg.Connection, payloads: Sequence[object]) -> None:
    publish_events(payloads)  # type: ignore[arg-type]
    db.execute(LETTERS)


def test_people_campaigns_and_money_are_counted_once_each(settings: Settings) -> None:
    ann, school = uuid4(), uuid4()
    with connect("events", autocommit=True) as db:
        lettered(db, [
            completed(school, donor_id=ann, amount=Decimal("10.00")),
            completed(school, donor_id=ann, amount=Decimal("2.50")),
            completed(donor_id=None, donor_email="ben@example.org", amount=Decimal(7), currency="EUR"),
            completed(donor_id=None, donor_email="Ben@example.org", amount=Decimal(1), currency="EUR"),
            campaign(school), search("a word"),
        ])  # fmt: skip
    found = harm()
    assert (found.letters, found.campaigns) == (6, 3)
    assert found.money == {"EUR": Decimal(8), "USD": Decimal("12.50")}
    assert found.people == 3, "Ann, Ben, and who made the campaign; nobody is known to have searched"


def test_no_more_letters_are_read_than_asked_for(settings: Settings) -> None:
    with connect("events", autocommit=True) as db:
        lettered(db, [completed() for _ in range(5)])
    found = harm(most=2)
    assert (found.letters, found.people, found.money) == (2, 2, {"USD": Decimal("20.00")})


def test_an_amount_that_is_none_and_an_event_that_is_gone_do_not_count(settings: Settings) -> None:
    with connect("events", autocommit=True) as db:
        lettered(db, [completed(), completed(), completed()])
        db.execute("""UPDATE events.events SET payload = payload || '{"amount": "1e9"}' WHERE position = (
                          SELECT min(position) FROM events.events)""")
        db.execute("UPDATE events.dead_letters SET event_id = gen_random_uuid() WHERE position = ("
                   "SELECT max(position) FROM events.events)")  # fmt: skip
    found = harm()
    assert (found.letters, found.people, found.money) == (3, 2, {"USD": Decimal("10.00")})
    assert harm_of_nothing() == Harm(0, 0, 0, {})


def harm_of_nothing() -> Harm:
    with get_engine("events").begin() as db:
        return harm_of(db, Filter(fingerprint="g"), most=100)

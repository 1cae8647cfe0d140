"""How a message changes hands: by its token alone, and while the lease runs by nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.events import Event
from fundlyhub.events.catalogue.user import UserRegistered
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE
from fundlyhub.processors.notifications.ledger import leases, store
from fundlyhub.processors.notifications.ledger.matters import Key
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.message import Message
from fundlyhub.settings import Settings

EVENT = UUID(int=1)
ADA = UserRegistered(user_id=UUID(int=2), email="ada@example.org", registration_method="email")
WELCOMED = Event.of(ADA, id=EVENT)
KEY = Key("user_id=ada", "email", "welcome")
NOW = datetime.now(UTC)


@pytest.fixture
def db(settings: Settings) -> Iterator[Connection]:
    with get_engine("app").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@pytest.fixture
def row(db: Connection) -> Row:
    """One message that may be sent."""
    store.plan(db, [planned("ada")])
    return now(db)


def planned(recipient: str, skip: str | None = None) -> Message:
    return Message(BY_TEMPLATE["welcome"], "email", KEY.to(recipient), EVENT, 1, skip=skip)


def now(db: Connection, recipient: str = "ada") -> Row:
    key = KEY.to(recipient)
    return store.read(db, [key])[key]


def asked(row: Row, again: bool, after: datetime | None) -> Message:
    """The message as a worker asks for it; its event was replayed then."""
    message = planned("ada")
    notice = replace(message.notice, again=frozenset({"email"} if again else ()))
    delivery = Delivery(WELCOMED, replayed_after=after)
    return replace(message, notice=notice, delivery=delivery, row=row, token=uuid4())


def taken(db: Connection, row: Row, *, lease: float = 60) -> Message:
    """The message of a worker that got it."""
    ours = asked(row, True, None)
    assert leases.take(db, [ours], "sendgrid", lease) == {row.id}
    return ours


def refused(db: Connection, row: Row, *, again: bool = True, after: datetime | None = None) -> bool:
    return not leases.take(db, [asked(row, again, after)], "sendgrid", 60)


def test_planning_twice_leaves_what_is_there(db: Connection, row: Row) -> None:
    leases.sent(db, [(taken(db, row), "m1")])
    store.plan(db, [planned("ada", "opted out"), planned("ben", "no address")])
    assert now(db).state == "sent"
    assert now(db, "ben").state == "skipped"


def test_a_message_that_is_being_sent_is_nobody_elses_until_its_lease_is_over(db: Connection, row: Row) -> None:
    first = taken(db, row)
    assert refused(db, row), "its lease runs, whatever the second worker has read before"
    leases.release(db, first, "503", 0)
    taken(db, row, lease=-1)
    assert refused(db, row, again=False), "it may have gone out"
    assert not refused(db, row, again=True)


def test_who_has_lost_a_message_releases_and_ends_nothing(db: Connection, row: Row) -> None:
    lost = taken(db, row, lease=-1)
    owner = taken(db, row)
    leases.release(db, lost, "503", 0)
    leases.end(db, lost, "failed", "late", NOW)
    leases.sent(db, [(lost, "late")])
    assert now(db).state == "sending"
    leases.sent(db, [(owner, "m1")])
    assert now(db).state == "sent"


def test_what_is_sent_or_skipped_is_never_taken_again_not_even_by_a_replay(db: Connection, row: Row) -> None:
    leases.sent(db, [(taken(db, row), "m1")])
    assert refused(db, row, after=datetime.max.replace(tzinfo=UTC))
    store.plan(db, [planned("ben", "opted out")])
    assert refused(db, now(db, "ben"), after=datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize("state", ["failed", "unknown"])
def test_what_failed_is_taken_again_only_by_a_replay_that_came_after(db: Connection, row: Row, state: str) -> None:
    leases.end(db, taken(db, row), state, "400", NOW)
    assert refused(db, row)
    assert refused(db, row, after=datetime(2020, 1, 1, tzinfo=UTC)), "it failed once more since then"
    assert not refused(db, row, after=NOW)


def test_a_released_message_waits(db: Connection, row: Row) -> None:
    leases.release(db, taken(db, row), "429", 50)
    wait = now(db).wait
    assert now(db).state == "queued"
    assert 40 < wait <= 50


def test_a_webhook_that_was_quicker_than_the_answer_stays(db: Connection, row: Row) -> None:
    hold = taken(db, row)
    db.exec_driver_sql("UPDATE notifications SET state = 'delivered', provider_message_id = 'm0'")
    leases.sent(db, [(hold, None)])
    assert now(db).state == "delivered"
    leases.release(db, hold, "503", 0)
    assert now(db).state == "delivered"


def test_who_takes_a_message_and_loses_the_answer_takes_it_again(db: Connection, row: Row) -> None:
    ours = taken(db, row)
    assert leases.take(db, [ours], "sendgrid", 60) == {row.id}
    assert refused(db, row)


def test_one_statement_settles_what_was_accepted_and_takes_the_next(db: Connection, row: Row) -> None:
    store.plan(db, [planned("ben")])
    first, second = taken(db, row), asked(now(db, "ben"), True, None)
    assert leases.exchange(db, [(first, "m1")], [second], "sendgrid", 60) == ({second.id}, set())
    assert (now(db).state, now(db, "ben").state) == ("sent", "sending")
    assert leases.exchange(db, [(second, "m2")], [], "sendgrid", 60) == (set(), set())
    assert now(db, "ben").state == "sent"


def test_an_accepted_message_whose_row_is_gone_is_told_beside_those_that_are_taken(db: Connection, row: Row) -> None:
    store.plan(db, [planned("ben")])
    first, second = taken(db, row), asked(now(db, "ben"), True, None)
    db.exec_driver_sql("DELETE FROM notifications WHERE id = %(id)s", {"id": row.id})
    assert leases.exchange(db, [(first, "m1")], [second], "sendgrid", 60) == ({second.id}, {row.id})

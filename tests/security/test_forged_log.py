"""Rows that somebody with rights on the table forged: they do not slow the relay, are told of, and are not lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fundlyhub import publish_event
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.forged import Forged, among, hand_over, look, pass_positions
from fundlyhub.relay.status import relay_lag
from fundlyhub.settings import Settings
from fundlyhub.verification import verify
from tests.support import ROOT
from tests.support.make import initiated
from tests.support.platform import Platform
from tests.support.processors import TABLES

Db = psycopg.Connection[Any]
VERIFY = ROOT / "docs" / "verify.md"
FUTURE = "999999999999"
FORGE = """
    INSERT INTO events.events (xid, id, type, version, payload, occurred_at)
    SELECT %s::text::xid8, gen_random_uuid(), 'donation.initiated', '1.0.0', '{}', now() FROM generate_series(1, %s)
"""
TAKE = """
    INSERT INTO events.events (position, id, type, version, payload, occurred_at)
    OVERRIDING SYSTEM VALUE VALUES (%s, gen_random_uuid(), 'donation.initiated', '1.0.0', '{}', now())
"""
PUBLISH = "SELECT events.publish_event('donation.initiated', '{}')"


@pytest.fixture
def db(dsn: str) -> Iterator[Db]:
    """The owner's connection."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def drained(cursor: SnapshotCursor) -> list[int]:
    positions: list[int] = []
    while cursor.open():
        rows = cursor.page(1_000)
        positions += [row[0] for row in rows]
        cursor.move(None)
    return positions


def test_an_id_that_is_yet_to_come_opens_no_window(db: Db) -> None:
    db.execute(FORGE, (FUTURE, 1))
    cursor = SnapshotCursor.take(db, "main")
    assert not cursor.open()
    assert relay_lag(db) == {"lag_events": 0, "lag_seconds": 0.0}
    db.execute(PUBLISH)
    assert drained(cursor) == [2]
    assert not cursor.open()


@pytest.mark.parametrize("xid", [FUTURE, "2"], ids=["yet to come", "none"])
def test_an_id_that_no_transaction_had_is_found_and_its_event_handed_over(db: Db, xid: str) -> None:
    cursor = SnapshotCursor.take(db, "main")
    db.execute(PUBLISH)
    db.execute(FORGE, (xid, 2))
    drained(cursor)
    assert [position for position, _ in among(db, [1, 2, 3])] == [2, 3]
    assert hand_over(db, [2, 3]) == 2
    assert among(db, [1, 2, 3]) == []
    assert drained(cursor) == [2, 3]


def test_an_id_of_a_transaction_that_failed_is_found(db: Db, dsn: str) -> None:
    with psycopg.connect(dsn) as other:
        (xid,) = other.execute("SELECT pg_current_xact_id()::text").fetchone() or ("",)
        other.rollback()
    db.execute(FORGE, (xid, 1))
    assert [position for position, _ in among(db, [1])] == [1]


def test_an_id_of_long_ago_is_found_by_the_marks(db: Db) -> None:
    db.execute(PUBLISH)
    (old,) = db.execute("SELECT xid::text FROM events.events").fetchone() or ("",)
    db.execute("INSERT INTO events.log_marks (position, taken_at) VALUES (1, now() - interval '25 hours')")
    db.execute(PUBLISH)
    db.execute(FORGE, (old, 1))
    assert [position for position, _ in among(db, [2, 3])] == [3]


def test_one_of_today_is_found_by_the_statement_of_the_page(db: Db) -> None:
    """Nothing else finds it, where no processor wants the event; only the owner can write it."""
    (statement,) = re.findall(r"```sql\n(SELECT position, id FROM events.events.*?)```", VERIFY.read_text(), re.DOTALL)
    db.execute(PUBLISH)
    (fresh,) = db.execute("SELECT xid::text FROM events.events").fetchone() or ("",)
    with db.transaction(), db.transaction():
        db.execute(PUBLISH)
    db.execute(FORGE, (fresh, 1))
    db.execute("SELECT pg_current_xact_id()")
    assert among(db, [1, 2, 3]) == []
    assert [position for position, _ in db.execute(statement.encode()).fetchall()] == [3]


def test_an_event_of_a_long_transaction_is_in_order(db: Db, dsn: str) -> None:
    """It got its id an hour before it publishes, and a mark was made meanwhile."""
    with psycopg.connect(dsn) as long, long.transaction():
        long.execute("SELECT pg_current_xact_id()")
        db.execute(PUBLISH)
        db.execute("INSERT INTO events.log_marks (position, taken_at) VALUES (1, now() - interval '1 hour')")
        long.execute(PUBLISH)
    assert among(db, [1, 2]) == []


def test_an_event_in_a_savepoint_is_in_order(db: Db) -> None:
    with db.transaction(), db.transaction():
        db.execute(PUBLISH)
    assert among(db, [1]) == []


def test_a_position_that_is_yet_to_come_is_found_and_passed(db: Db) -> None:
    db.execute(PUBLISH)
    db.execute(TAKE, (2,))
    db.execute(TAKE, (40,))
    assert look(db) == Forged(0, 2)
    pass_positions(db)
    assert look(db) == Forged(0, 0)
    db.execute(PUBLISH)
    assert db.execute("SELECT max(position) FROM events.events").fetchone() == (41,)


def test_a_position_near_the_end_of_all_is_told_of_and_never_passed(db: Db, settings: Settings) -> None:
    """Behind it no position would be left; the others are passed all the same."""
    db.execute(PUBLISH)
    db.execute(TAKE, (40,))
    db.execute(TAKE, (2**63 - 2,))
    (far,) = db.execute("SELECT id FROM events.events ORDER BY position DESC LIMIT 1").fetchall()
    report = verify(settings, {}, tables=False)
    assert {one.position: one.event_id for one in report.findings.listed} == {2**63 - 2: far[0], None: None}
    pass_positions(db)
    pass_positions(db)
    assert look(db) == Forged(0, 1)
    (told,) = verify(settings, {}, tables=False).findings.listed
    assert told.what.startswith("its position is never passed: delete its row")
    db.execute(PUBLISH)
    assert db.execute("SELECT max(position) FROM events.events WHERE position < 2 ^ 62").fetchone() == (41,)
    db.execute("DELETE FROM events.events WHERE id = %s", far)
    assert verify(settings, {}, tables=False).ok


@pytest.mark.chaos  # for its length
def test_status_and_verify_tell_and_a_repair_hands_the_events_over(platform: Platform) -> None:
    platform.execute(TABLES)
    platform.relay()
    platform.worker("writes,projections,notifications,broadcasts")
    publish_event(initiated())
    platform.wait_applied("test_slow", 1)
    forge = f"""
        INSERT INTO events.events (xid, id, type, version, payload, occurred_at)
        SELECT '{FUTURE}', gen_random_uuid(), type, version, payload, occurred_at FROM events.events
    """
    platform.execute(forge)
    assert json.loads(platform.run("status", "--json").stdout)["log"]["future_xids"] == 1
    found = json.loads(platform.run("verify", "--json", "--no-tables").stdout)
    assert [(one["kind"], one["position"]) for one in found["findings"]] == [("forged", 2)]
    platform.run("verify", "--repair", "--no-tables")
    platform.wait_applied("test_slow", 2)
    assert json.loads(platform.run("verify", "--json", "--no-tables", "--wait", "30").stdout)["ok"]

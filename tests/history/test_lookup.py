"""Looking events up by aggregate, correlation and causation, in the table that a processor keeps beside the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from fundlyhub import publish_event
from fundlyhub.database import connect, get_engine
from fundlyhub.events.log import head
from fundlyhub.history import finding, looking_up
from fundlyhub.history.finding import Page, Wanted, find, the_event
from fundlyhub.history.story import story
from fundlyhub.processing.executor import execute
from fundlyhub.processors.event_lookup import EventLookupProcessor
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.registration import register
from fundlyhub.settings import Settings, get_settings
from fundlyhub.testing.databases import settings_of
from fundlyhub.verification.run import verify
from tests.support.make import campaign, completed, search
from tests.support.roles import Roles

OURS = {EventLookupProcessor.name: EventLookupProcessor}
CHAFF = """
    INSERT INTO events.events (id, type, version, payload, occurred_at)
    SELECT gen_random_uuid(), 'search.query.submitted', '1.0.0', '{}', now() FROM generate_series(1, %s)
"""


class Log:
    """A log of which the processor has settled what ``settle`` was called for."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self.db = db
        register(db, OURS)

    def apply(self, positions: Sequence[int]) -> None:
        execute(EventLookupProcessor, positions)

    def settle(self) -> None:
        """Everything that is there, as worker and sweep do."""
        rows = self.db.execute("SELECT position FROM events.events ORDER BY position").fetchall()
        for start in range(0, len(rows), EventLookupProcessor.batch_size):
            self.apply([position for (position,) in rows[start : start + EventLookupProcessor.batch_size]])
        cursor = SnapshotCursor.take(self.db, "sweep:event_lookup")
        if cursor.open():
            cursor.move(None)

    def found(self, **wanted: Any) -> list[int]:
        return [one.position for one in self.page(**wanted).events]

    def page(self, *, limit: int = 50, oldest_first: bool = False, **wanted: Any) -> Page:
        return find(self.db, Wanted(**wanted), limit=limit, oldest_first=oldest_first)


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    with connect("events", settings=settings, autocommit=True) as db:
        yield Log(db)


def rows() -> list[Any]:
    with get_engine("analytics").connect() as db:
        return list(db.exec_driver_sql("SELECT key, position FROM event_lookup ORDER BY 1, 2"))


def chain(correlation: UUID) -> tuple[list[int], UUID, str]:
    """A gift, and two events that it caused: their positions, the gift's id, and what the last one is about."""
    first = publish_event(completed(), correlation_id=correlation)
    second = publish_event(campaign(), correlation_id=correlation, causation_id=first.id)
    third = publish_event(campaign(), causation_id=first.id)
    return [event.position or 0 for event in (first, second, third)], first.id, str(third.aggregate_id)


def test_what_is_settled_is_looked_up_and_what_is_newer_looked_through(log: Log) -> None:
    correlation = uuid4()
    (a, b, c), gift, about = chain(correlation)
    log.settle()
    more = publish_event(campaign(), causation_id=gift, correlation_id=correlation).position
    for oldest_first in (False, True):
        found = log.page(causation_id=gift, oldest_first=oldest_first)
        assert sorted(one.position for one in found.events) == [b, c, more]
        assert found.not_known == f"event_lookup has not settled positions {more:,} to {more:,} yet"
    log.settle()
    assert log.page(causation_id=gift).not_known is None
    assert log.found(correlation_id=correlation) == [more, b, a]
    assert log.found(aggregate_id=about) == [c]
    assert log.found(aggregate_id=about, aggregate_type="user") == []
    assert log.found(correlation_id=correlation, causation_id=gift, types=["campaign.*"], before=more) == [b]
    assert [one.position for one in story(log.db, the_event(log.db, str(a))).caused] == [b, c, more]


@pytest.mark.chaos  # for its length
def test_old_events_are_found_in_one_page_of_a_long_log(log: Log) -> None:
    """The same page without the table ends long before: it looks through a limited part of the log."""
    (_, b, c), gift, about = chain(uuid4())
    log.apply([b, c])
    log.db.execute(CHAFF, (finding.STRETCH * finding.STRETCHES,))
    assert log.page(causation_id=gift).events == []
    cursor = SnapshotCursor.take(log.db, "sweep:event_lookup")
    assert cursor.open()
    cursor.move(None)  # none of the many others has a key
    assert log.page(causation_id=gift) == Page(log.page(before=c + 1, limit=2).events, None)
    assert log.found(aggregate_id=about) == [c]
    assert story(log.db, the_event(log.db, str(gift))).looked_up_to is None


def test_pages_follow_each_other_across_both_parts(log: Log) -> None:
    """More events than are looked up at a time, and some that are not in the table yet."""
    correlation = uuid4()
    many = CHAFF.replace("occurred_at)", "occurred_at, correlation_id)").replace("now()", f"now(), '{correlation}'")
    log.db.execute(many, (finding.LOOKED_UP + 500,))
    log.settle()
    log.db.execute(many, (5,))
    sent = list(range(1, finding.LOOKED_UP + 506))
    for oldest_first in (False, True):
        found, place = list[int](), dict[str, int]()
        while True:
            page = log.page(correlation_id=correlation, limit=1_000, oldest_first=oldest_first, **place)
            found += [one.position for one in page.events]
            if page.next is None:
                break
            place = {"after" if oldest_first else "before": page.next}
        assert found == (sent if oldest_first else sent[::-1])
    assert log.found(correlation_id=correlation, types=["campaign.*"]) == []


def test_what_waits_or_rests_is_not_taken_for_looked_up(log: Log) -> None:
    (a, b, c), *_ = chain(uuid4())
    log.settle()
    log.db.execute(
        "INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at) "
        "VALUES ('event_lookup', %s, 1, now(), now())",
        (b,),
    )
    assert looking_up.known(log.db) == (0, b - 1)
    log.db.execute("DELETE FROM events.attempts")
    assert looking_up.known(log.db) == (0, c)
    assert a < b


def test_events_that_nobody_can_read_are_in_the_table_too_and_none_is_refused(log: Log) -> None:
    """Types of the future, payloads that are wrong: the processor reads neither."""
    id, cause = uuid4(), uuid4()
    log.db.execute(
        """INSERT INTO events.events (id, type, version, payload, occurred_at, aggregate_id, causation_id)
        VALUES (%s, 'brand.new', '9.0.0', '[]', 'infinity', %s, %s)""",
        (id, "ä" * 300, cause),
    )
    log.settle()
    assert log.db.execute("SELECT count(*) FROM events.dead_letters").fetchone() == (0,)
    assert log.found(aggregate_id="ä" * 300) == log.found(causation_id=cause) == [head(log.db)]
    assert log.found(aggregate_id="ä" * 299) == []


def test_a_second_delivery_and_a_careful_run_change_nothing_and_verify_compares_the_table(log: Log) -> None:
    sent, *_ = chain(uuid4())
    execute(EventLookupProcessor, sent, careful=True)
    made = rows()
    assert len(made) == 3 + 2 + 2  # aggregates, correlations, causations
    log.apply(sent)
    assert rows() == made
    assert verify(get_settings(), OURS, grace=0.0).ok
    with get_engine("analytics").begin() as db:
        db.exec_driver_sql("DELETE FROM event_lookup WHERE position = %s", (sent[1],))
        db.exec_driver_sql("INSERT INTO event_lookup VALUES (7, 1)")
    report = verify(get_settings(), OURS, grace=0.0)
    assert report.findings.counts == {"missing": 3, "double": 1}


def test_where_the_table_cannot_be_read_the_log_is_looked_through(log: Log) -> None:
    (_, b, c), gift, _ = chain(uuid4())
    log.settle()
    with get_engine("analytics").begin() as db:
        db.exec_driver_sql("ALTER TABLE event_lookup RENAME TO away")
    page = log.page(causation_id=gift)
    assert [one.position for one in page.events] == [c, b]
    assert page.not_known == "the table event_lookup in the Analytics DB cannot be read now"


def test_readers_may_look_up(log: Log, dsn: str) -> None:
    (_, b, c), gift, _ = chain(uuid4())
    log.settle()
    with settings_of(Roles(dsn).variables("reader")), connect("events", autocommit=True) as db:
        page = find(db, Wanted(causation_id=gift))
    assert ([one.position for one in page.events], page.not_known) == ([c, b], None)


def test_it_begins_after_what_is_archived_when_it_is_new(settings: Settings) -> None:
    """A processor that computes anything is refused there; to this one the rest is worth as much."""
    with connect("events", settings=settings, autocommit=True) as db:
        last = publish_event(search("x")).position or 0
        db.execute(
            """INSERT INTO events.archives (low, high, events, types, file, sha256, system_identifier, who)
            VALUES (1, %s, 1, '{"search.query.submitted": 1}', '/nowhere', repeat('0', 64), 0, 'ann')""",
            (last,),
        )
        register(db, OURS)
        assert db.execute("SELECT from_position FROM events.processors").fetchone() == (last,)

"""Finding events: each filter, pages by position, bounded reads; and following, which leaves no event out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from fundlyhub import publish_event, publish_events
from fundlyhub.database import connect
from fundlyhub.errors import WrongState, WrongUse
from fundlyhub.history import finding
from fundlyhub.history.finding import Wanted, find, the_event
from fundlyhub.history.following import follow, snapshot
from fundlyhub.settings import Settings
from tests.support.make import campaign, completed, search


@pytest.fixture
def db(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection to a fresh log."""
    with connect("events", settings=settings, autocommit=True) as db:
        yield db


def positions(db: psycopg.Connection[Any], limit: int = 50, **wanted: Any) -> list[int]:
    return [one.position for one in find(db, Wanted(**wanted), limit=limit).events]


def test_each_filter_finds_its_events_and_no_others(db: psycopg.Connection[Any]) -> None:
    correlation = uuid4()
    first = publish_event(completed(), correlation_id=correlation)
    second = publish_event(campaign(), causation_id=first.id)
    third = publish_event(search("x"))
    a, b, c = (event.position or 0 for event in (first, second, third))
    assert positions(db) == [c, b, a]
    assert positions(db, types=["donation.*"]) == [a]
    assert positions(db, types=["campaign.**", "search.**"]) == [c, b]
    assert positions(db, types=["donation"]) == []
    assert positions(db, correlation_id=correlation) == [a]
    assert positions(db, causation_id=first.id) == [b]
    assert positions(db, aggregate_id=second.aggregate_id, aggregate_type="campaign") == [b]
    assert positions(db, before=c, after=a) == [b]
    assert positions(db, types=["donation.*"], causation_id=first.id) == []


def test_an_alias_is_found_as_the_type_that_it_stands_for(db: psycopg.Connection[Any]) -> None:
    event = publish_event(search("x"))
    db.execute("UPDATE events.events SET type = 'admin.user_deleted'")
    assert positions(db, types=["admin.user.*"]) == [event.position]


def test_what_is_no_pattern_is_refused() -> None:
    for wrong in ("donation;", "", "donation..x", "(a+)+"):
        with pytest.raises(WrongUse):
            Wanted(types=[wrong])


def test_pages_follow_each_other_without_gap_or_overlap(db: psycopg.Connection[Any]) -> None:
    sent = [event.position for event in publish_events(search(str(n)) for n in range(25))]
    for oldest_first in (False, True):
        found: list[int] = []
        wanted = Wanted()
        while True:
            page = find(db, wanted, limit=10, oldest_first=oldest_first)
            found += [one.position for one in page.events]
            if page.next is None:
                break
            wanted = replace(wanted, after=page.next) if oldest_first else replace(wanted, before=page.next)
        assert found == (sent if oldest_first else sent[::-1])


@pytest.mark.chaos  # for its length
def test_one_page_looks_through_a_limited_part_of_the_log(db: psycopg.Connection[Any]) -> None:
    """The log of this test is longer than a page may look through: made by one statement, since it takes 200,000."""
    rare = publish_event(campaign())
    many = finding.STRETCH * finding.STRETCHES
    db.execute(
        """INSERT INTO events.events (id, type, version, payload, occurred_at)
        SELECT gen_random_uuid(), 'search.query.submitted', '1.0.0', '{}', now() FROM generate_series(1, %s)""",
        (many,),
    )
    page = find(db, Wanted(types=["campaign.*"]))
    assert (page.events, page.looked_through) == ([], True)
    page = find(db, Wanted(types=["campaign.*"], before=page.next))
    assert [one.position for one in page.events] == [rare.position]
    assert page.next is None
    assert len(find(db, Wanted(), limit=5).events) == 5


def test_times_bound_it_too(db: psycopg.Connection[Any]) -> None:
    sent = [event.position or 0 for event in publish_events(search(str(n)) for n in range(400))]
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    db.execute("UPDATE events.events SET recorded_at = %s + position * interval '1 minute'", (noon,))
    since, until = (noon + timedelta(minutes=sent[n]) for n in (150, 250))
    assert positions(db, limit=1_000, since=since, until=until) == sent[150:250][::-1]
    assert positions(db, limit=1_000, since=noon + timedelta(days=300)) == []
    assert positions(db, limit=1_000, until=noon) == []


def test_an_event_is_found_by_position_id_and_the_beginning_of_an_id(db: psycopg.Connection[Any]) -> None:
    event = publish_event(search("x"), id=(id := uuid4()))
    for name in (str(event.position), str(id), str(id)[:13], str(id).upper()):
        assert the_event(db, name).position == event.position
    for name in ("999", str(uuid4())):
        with pytest.raises((WrongState, WrongUse)):
            the_event(db, name)
    for name in ("x", "-1", "1 OR true"):
        with pytest.raises(WrongUse):
            the_event(db, name)


def test_an_event_that_becomes_visible_late_is_followed_too_and_each_comes_once(
    db: psycopg.Connection[Any], settings: Settings
) -> None:
    stop, found = threading.Event(), list[int]()
    before = publish_event(search("before")).position
    with connect("events", settings=settings) as late:
        slow = publish_event(search("slow"), session=late)
        seen = snapshot(db)
        quick = publish_event(search("quick"))
        other = publish_event(campaign())
        for events in follow(db, Wanted(types=["search.**"]), stop, seen=seen):
            found += [one.position for one in events]
            if found == [quick.position]:
                late.commit()
                publish_event(search("last"))
            elif len(found) == 3:
                stop.set()
    assert found[:2] == [quick.position, slow.position]
    assert {before, other.position}.isdisjoint(found)

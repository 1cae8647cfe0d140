"""An id whose event is archived is published by no door again, whatever happens at the same time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from fundlyhub import ConflictingEvent, Event, publish_event, publish_event_async, publish_events
from fundlyhub.database import connect
from fundlyhub.events.publish import Published, insert
from fundlyhub.streams.store import Stored, store
from tests.retention.archives.old import Old
from tests.retention.claims.kept import values
from tests.streams.entries import entry, whole
from tests.support.make import completed, search
from tests.support.platform import wait_until

DOOR = "SELECT n, stored_position, stored_at, outcome FROM events.append_events(%s::text::jsonb)"


def archived(old: Old) -> tuple[Event, Event]:
    """Two events that were published; the first of them is archived."""
    one, two = publish_events([Event.of(completed()), Event.of(completed())])
    old.settled("fine")
    old.archived(1)
    return one, two


def one_row(event: Event, **other: Any) -> dict[str, Any]:
    """As the SQL function takes it."""
    return {
        "n": 1, "id": str(event.id), "type": event.type, "version": event.version, "payload": {"a": 1},
        "occurred_at": event.timestamp.isoformat(), "time_given": True, **other,
    }  # fmt: skip


class TestEachDoor:
    def test_one_event(self, old: Old) -> None:
        one, _ = archived(old)
        before = old.known()
        (again,) = insert([one], session=None)
        assert again == Published(one, is_new=False)
        assert (again.event.position, old.known()) == (1, before)

    def test_other_content_cannot_be_told_any_more_until_it_is_restored(self, old: Old) -> None:
        one, _ = archived(old)
        assert publish_event(completed(), id=one.id).position == 1
        old.restore(next(old.folder.iterdir()))
        with pytest.raises(ConflictingEvent):
            publish_event(completed(), id=one.id)
        assert publish_event(one).position == 1

    def test_many_events_old_and_new_and_twice_in_one_call(self, old: Old) -> None:
        one, two = archived(old)
        new = Event.of(completed())
        found = insert([new, one, two, one, new], session=None)
        assert [each.is_new for each in found] == [True, False, False, False, False]
        assert [each.event.position for each in found][1:4] == [1, 2, 1]
        assert found[0].event.position == found[4].event.position == old.positions()[-1]

    def test_without_waiting(self, old: Old) -> None:
        one, _ = archived(old)
        assert asyncio.run(publish_event_async(one)).position == 1

    def test_in_sql(self, old: Old) -> None:
        one, two = archived(old)
        before = old.known()
        old.events.execute("SELECT events.publish_event('donation.completed', '{}', id => %s)", (one.id,))
        rows = old.events.execute(DOOR, (json.dumps([one_row(one), one_row(two, n=2)]),)).fetchall()
        assert rows == [(1, 1, None, "archived"), (2, None, None, "different")]
        assert old.known() == before

    def test_from_a_stream(self, old: Old) -> None:
        one, _ = archived(old)
        assert store(old.events, [entry(whole(id=str(one.id)))]) == Stored(known=1)

    def test_it_wakes_nobody(self, old: Old) -> None:
        one, _ = archived(old)
        old.events.execute("SELECT setval('events.relay_sleep', 2)")
        with connect("events", autocommit=True) as listener:
            listener.execute("LISTEN fundlyhub_relay")
            publish_event(one)
            publish_events([one])
            old.events.execute("NOTIFY fundlyhub_relay, 'the end'")
            assert [next(listener.notifies(timeout=30)).payload] == ["the end"]


LEVELS = [psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ]


@pytest.mark.parametrize("level", LEVELS, ids=["read committed", "repeatable read"])
def test_who_publishes_while_the_row_is_on_its_way_out_finds_it(old: Old, level: psycopg.IsolationLevel) -> None:
    """He began to look before the id was kept, and comes to write when everything is over, or would be."""
    one = publish_event(Event.of(completed()))
    old.settled("fine")
    with connect("events") as publisher:
        publisher.isolation_level = level
        publisher.execute("SELECT 1")
        archiving = threading.Thread(target=old.archive, args=(1,))
        archiving.start()
        with connect("events", autocommit=True) as looking:
            wait_until(lambda: values(looking, "SELECT 1 FROM events.event_ids"), what="the id")
        (again,) = insert([one], session=publisher)
        assert (again.is_new, again.event.position) == (False, 1)
        publisher.commit()
        archiving.join(30)
    assert (old.ids(), old.positions()) == ([1], [2, 3])


def test_publishers_of_old_ids_never_win_while_events_come_and_go(old: Old) -> None:
    old.many(300)
    old.settled("fine")
    known = old.known()
    ids = [id for id, _ in sorted(known, key=lambda row: row[1])]
    over, rounds = threading.Event(), count()
    new: list[Event] = []

    def publish(level: psycopg.IsolationLevel, pick: Callable[[int], list[UUID]]) -> None:
        with connect("events") as db:
            db.isolation_level = level
            while not over.is_set():
                try:
                    for id in pick(next(rounds)):
                        found = insert([Event.of(search("fine"), id=id)], session=db)
                        new.extend(one.event for one in found if one.is_new)
                    db.commit()
                except (ConflictingEvent, psycopg.errors.SerializationFailure):
                    db.rollback()

    publishers = [
        threading.Thread(target=publish, args=(level, lambda n: [ids[n * 7 % 300]])) for level in (*LEVELS, *LEVELS)
    ]
    for each in publishers:
        each.start()
    for _ in range(4):
        old.restore(old.archived(300))
    file = old.archived(300)
    over.set()
    for each in publishers:
        each.join(30)
    assert new == []
    assert (old.known(), len(old.ids())) == (known, 300)
    old.restore(file)
    assert old.known() == known


def test_an_id_that_nobody_has_is_published_as_ever(old: Old) -> None:
    archived(old)
    assert publish_event(completed(), id=uuid4()).position == old.positions()[-1]

"""Publishing many events at once: in their order, in few round trips, all or none."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import create_engine, event

from fundlyhub import ConflictingEvent, Event, publish_event, publish_events
from fundlyhub.settings import Settings
from tests.support.log import rows, sqlalchemy_url
from tests.support.make import completed, initiated


def test_positions_ascend_in_the_order_given(settings: Settings) -> None:
    events = [Event.of(initiated()) for _ in range(2_500)]
    published = publish_events(events)
    assert [item.id for item in published] == [item.id for item in events]
    positions = [item.position for item in published]
    assert positions == sorted(set(positions), key=lambda position: position or 0)
    stored = rows(settings.dsn("events"), "SELECT id FROM events.events ORDER BY position")
    assert stored == [item.id for item in events]


def test_a_thousand_are_one_round_trip(dsn: str) -> None:
    statements: list[str] = []
    engine = create_engine(sqlalchemy_url(dsn))
    with engine.connect() as db:
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        publish_events([initiated() for _ in range(1_000)], session=db)
        db.commit()
    engine.dispose()
    assert len(statements) == 1
    assert len(rows(dsn)) == 1_000


def test_large_events_are_spread_over_statements_that_the_server_can_take(dsn: str) -> None:
    statements: list[str] = []
    engine = create_engine(sqlalchemy_url(dsn))
    large = [Event.of(initiated(), metadata={"note": "x" * 250_000}) for _ in range(100)]
    with engine.connect() as db:
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        published = publish_events(large, session=db)
        db.commit()
    engine.dispose()
    assert len(statements) == 2
    assert rows(dsn) == [item.position for item in published]


def test_a_copy_with_another_payload_is_published_as_it_stands(settings: Settings) -> None:
    first, other = Event.of(initiated()), initiated()
    publish_event(first.model_copy(update={"id": uuid4(), "payload": other}))
    (stored,) = rows(settings.dsn("events"), "SELECT payload->>'donationId' FROM events.events")
    assert stored == str(other.donation_id)


def test_none_is_none(settings: Settings) -> None:
    assert publish_events([]) == []


def test_without_a_session_all_or_none(settings: Settings) -> None:
    taken = publish_event(completed())
    with pytest.raises(ConflictingEvent):
        publish_events([completed(), Event.of(completed(), id=taken.id)])
    assert rows(settings.dsn("events")) == [taken.position]

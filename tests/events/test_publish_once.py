"""An event id is one event, however often it is published; and only a sleeping relay is notified."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from fundlyhub import (
    ConflictingEvent,
    Event,
    publish_event,
    publish_events,
)
from fundlyhub.settings import Settings
from tests.support.log import rows
from tests.support.make import completed, initiated
from tests.support.platform import wait_until

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class TestTheSameIdTwice:
    def test_is_one_event_with_the_stored_position_and_time(self, settings: Settings) -> None:
        payload, id = completed(), uuid4()
        first = publish_event(payload, id=id)
        second = publish_event(payload, id=id)
        assert (second.position, second.timestamp) == (first.position, first.timestamp)
        assert len(rows(settings.dsn("events"))) == 1

    def test_money_is_compared_as_a_number(self, settings: Settings) -> None:
        payload, id = completed(amount=Decimal("10.00")), uuid4()
        first = publish_event(payload, id=id)
        again = publish_event(payload.model_copy(update={"amount": Decimal("10.0")}), id=id)
        assert again.position == first.position

    def test_metadata_is_no_content(self, settings: Settings) -> None:
        payload, id = completed(), uuid4()
        first = publish_event(payload, id=id, metadata={"try": 1})
        assert publish_event(payload, id=id, metadata={"try": 2}).position == first.position
        assert rows(settings.dsn("events"), "SELECT metadata FROM events.events") == [{"try": 1}]

    def test_a_time_that_was_given_is_content(self, settings: Settings) -> None:
        payload, id = completed(), uuid4()
        first = publish_event(payload, id=id, timestamp=NOON)
        assert publish_event(payload, id=id, timestamp=NOON).position == first.position
        assert publish_event(payload, id=id).timestamp == NOON
        with pytest.raises(ConflictingEvent):
            publish_event(payload, id=id, timestamp=NOON + timedelta(milliseconds=1))

    @pytest.mark.parametrize("change", [{"amount": Decimal("11")}, {"is_anonymous": True}])
    def test_other_content_is_a_conflict(self, settings: Settings, change: dict[str, Any]) -> None:
        payload, id = completed(), uuid4()
        publish_event(payload, id=id)
        with pytest.raises(ConflictingEvent, match="id: ") as caught:
            publish_event(payload.model_copy(update=change), id=id)
        assert caught.value.reasons == (f"id: event {id} is in the log already, with other content",)

    def test_another_type_is_a_conflict(self, settings: Settings) -> None:
        id = uuid4()
        publish_event(completed(), id=id)
        with pytest.raises(ConflictingEvent):
            publish_event(initiated(), id=id)

    def test_twice_in_one_call_is_one_event(self, settings: Settings) -> None:
        same, other = Event.of(completed()), Event.of(completed())
        published = publish_events([same, other, same])
        assert published[0].position == published[2].position
        assert rows(settings.dsn("events")) == [published[0].position, published[1].position]

    def test_twice_in_one_call_with_other_content_is_a_conflict(self, settings: Settings) -> None:
        one = Event.of(completed())
        with pytest.raises(ConflictingEvent):
            publish_events([one, Event.of(completed(), id=one.id)])
        assert rows(settings.dsn("events")) == []

    @pytest.mark.parametrize("ending", ["commit", "rollback"])
    def test_two_transactions_at_once_the_second_waits(self, dsn: str, ending: str) -> None:
        one = Event.of(completed())
        found: list[Event] = []

        def publish_too() -> None:
            with psycopg.connect(dsn) as db:
                found.append(publish_event(one, session=db))

        with psycopg.connect(dsn) as first:
            before = publish_event(one, session=first)
            second = threading.Thread(target=publish_too)
            second.start()
            wait_until(lambda: rows(dsn, WAITING), what="the second to wait for the first")
            assert not found
            getattr(first, ending)()
            second.join(30)
        assert rows(dsn) == [found[0].position]
        assert (found[0].position == before.position) is (ending == "commit")


WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


class TestWaking:
    @pytest.fixture
    def heard(self, dsn: str) -> Iterator[Callable[[], list[str]]]:
        """What was said on the relay's channel until now: a mark that is sent last shows the end."""
        with psycopg.connect(dsn, autocommit=True) as listener:
            listener.execute("LISTEN fundlyhub_relay")

            def until_now() -> list[str]:
                with psycopg.connect(dsn, autocommit=True) as db:
                    db.execute("NOTIFY fundlyhub_relay, 'mark'")
                said = []
                for notification in listener.notifies(timeout=30):
                    if notification.payload == "mark":
                        break
                    said.append(notification.payload)
                return said

            yield until_now

    @pytest.mark.parametrize(
        ("relay", "notify", "expected"), [(2, True, [""]), (1, True, []), (2, False, []), (1, False, [])]
    )
    def test_only_a_sleeping_relay_is_notified(
        self, dsn: str, heard: Callable[[], list[str]], relay: int, notify: bool, expected: list[str]
    ) -> None:
        with psycopg.connect(dsn) as db:
            db.execute("SELECT setval('events.relay_sleep', %s)", (relay,))
            db.commit()
            publish_event(completed(), session=db, notify=notify)
            publish_events([completed(), completed()], session=db, notify=notify)
            db.commit()
        assert heard() == expected

    def test_before_any_relay_has_ever_slept_nobody_is_notified(self, dsn: str, heard: Callable[[], list[str]]) -> None:
        with psycopg.connect(dsn) as db:
            publish_event(completed(), session=db)
        assert heard() == []

    def test_what_is_in_the_log_already_wakes_nobody(self, dsn: str, heard: Callable[[], list[str]]) -> None:
        one = Event.of(completed())
        with psycopg.connect(dsn, autocommit=True) as db:
            publish_event(one, session=db)
            db.execute("SELECT setval('events.relay_sleep', 2)")
            publish_event(one, session=db)
        assert heard() == []

    def test_a_prepared_transaction_may_publish_without_notify(self, dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute("SELECT setval('events.relay_sleep', 2)")
            (limit,) = db.execute("SHOW max_prepared_transactions").fetchone() or ("0",)
            if limit == "0":
                pytest.skip("this server prepares no transactions (max_prepared_transactions)")
            db.execute("BEGIN")
            published = publish_event(completed(), session=db, notify=False)
            db.execute(f"PREPARE TRANSACTION '{published.id}'")
            assert rows(dsn) == []
            db.execute(f"COMMIT PREPARED '{published.id}'")
        assert rows(dsn) == [published.position]

"""Publishing from Python: in the caller's transaction, whatever the driver, and an id is one event."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from fundlyhub import (
    ConflictingEvent,
    Event,
    InvalidEvent,
    NotMigrated,
    WrongUse,
    publish_event,
    publish_event_async,
    publish_events,
)
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.settings import Settings
from tests.support.make import completed, initiated
from tests.support.platform import wait_until

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BUSINESS = "INSERT INTO public.gifts VALUES (1)"


def sqlalchemy_url(dsn: str) -> str:
    return dsn.replace("postgresql://", "postgresql+psycopg://", 1)


def rows(dsn: str, query: str = "SELECT position FROM events.events ORDER BY position") -> list[Any]:
    with psycopg.connect(dsn, autocommit=True) as db:
        return [row[0] for row in db.execute(query).fetchall()]


@contextmanager
def a_session(dsn: str) -> Iterator[Any]:
    engine = create_engine(sqlalchemy_url(dsn))
    with Session(engine) as session:
        session.execute(text(BUSINESS))
        yield session
    engine.dispose()


@contextmanager
def a_connection(dsn: str) -> Iterator[Any]:
    engine = create_engine(sqlalchemy_url(dsn))
    with engine.connect() as connection:
        connection.execute(text(BUSINESS))
        yield connection
    engine.dispose()


@contextmanager
def a_psycopg_connection(dsn: str) -> Iterator[Any]:
    connection = psycopg.connect(dsn, row_factory=psycopg.rows.dict_row)  # any row factory is the caller's own
    connection.execute(BUSINESS)
    yield connection
    connection.close()


@asynccontextmanager
async def an_async_session(dsn: str) -> AsyncIterator[Any]:
    engine = create_async_engine(sqlalchemy_url(dsn))
    async with AsyncSession(engine) as session:
        await session.execute(text(BUSINESS))
        yield session
    await engine.dispose()


@asynccontextmanager
async def an_async_connection(dsn: str) -> AsyncIterator[Any]:
    engine = create_async_engine(sqlalchemy_url(dsn))
    async with engine.connect() as connection:
        await connection.execute(text(BUSINESS))
        yield connection
    await engine.dispose()


@asynccontextmanager
async def an_async_psycopg_connection(dsn: str) -> AsyncIterator[Any]:
    connection = await psycopg.AsyncConnection.connect(dsn)
    await connection.execute(BUSINESS)
    yield connection
    await connection.close()


SYNC = [a_session, a_connection, a_psycopg_connection]
ASYNC = [an_async_session, an_async_connection, an_async_psycopg_connection]


@pytest.fixture
def gifts(dsn: str) -> str:
    """The DSN of a database in which the business has a table of its own."""
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("CREATE TABLE public.gifts (gift int)")
    return dsn


def what_is_there(dsn: str) -> tuple[int, int]:
    """Business rows, and events."""
    return len(rows(dsn, "SELECT gift FROM public.gifts")), len(rows(dsn))


class TestTransactions:
    @pytest.mark.parametrize("door", SYNC)
    def test_the_event_is_there_after_the_commit_and_not_before(self, gifts: str, door: Any) -> None:
        with door(gifts) as db:
            published = publish_event(completed(), session=db)
            assert what_is_there(gifts) == (0, 0)
            db.commit()
            assert what_is_there(gifts) == (1, 1)
        assert rows(gifts) == [published.position]

    @pytest.mark.parametrize("door", SYNC)
    def test_a_rollback_takes_the_event_back(self, gifts: str, door: Any) -> None:
        with door(gifts) as db:
            publish_event(completed(), session=db)
            db.rollback()
        assert what_is_there(gifts) == (0, 0)

    @pytest.mark.parametrize("ending", ["commit", "rollback"])
    @pytest.mark.parametrize("door", ASYNC)
    def test_asynchronous_callers_have_the_same(self, gifts: str, door: Any, ending: str) -> None:
        async def act() -> Event:
            async with door(gifts) as db:
                published = await publish_event_async(completed(), session=db)
                assert what_is_there(gifts) == (0, 0)
                await getattr(db, ending)()
                return published

        published = asyncio.run(act())
        assert rows(gifts) == ([published.position] if ending == "commit" else [])

    def test_without_a_session_the_event_is_committed_at_once(self, settings: Settings) -> None:
        published = publish_event(completed())
        assert rows(settings.dsn("events")) == [published.position]

    def test_without_a_session_the_asynchronous_door_does_the_same(self, settings: Settings) -> None:
        published = asyncio.run(publish_event_async(completed()))
        assert rows(settings.dsn("events")) == [published.position]

    @pytest.mark.parametrize("door", SYNC)
    def test_a_conflict_leaves_the_transaction_to_the_caller(self, gifts: str, door: Any) -> None:
        taken = uuid4()
        with psycopg.connect(gifts) as db:
            publish_event(completed(), session=db, id=taken)
        with door(gifts) as db:
            publish_event(completed(), session=db)
            with pytest.raises(ConflictingEvent, match=str(taken)):
                publish_event(completed(), session=db, id=taken)
            assert what_is_there(gifts) == (0, 1), "neither committed"
            db.commit()
        assert what_is_there(gifts) == (1, 2), "nor rolled back"

    @pytest.mark.parametrize("door", ASYNC)
    def test_an_asynchronous_conflict_too(self, gifts: str, door: Any) -> None:
        taken = uuid4()
        with psycopg.connect(gifts) as db:
            publish_event(completed(), session=db, id=taken)

        async def act() -> None:
            async with door(gifts) as db:
                with pytest.raises(ConflictingEvent):
                    await publish_event_async(completed(), session=db, id=taken)
                assert what_is_there(gifts) == (0, 1)
                await db.commit()

        asyncio.run(act())
        assert what_is_there(gifts) == (1, 1)

    @pytest.mark.parametrize("door", SYNC)
    def test_a_database_without_a_log_says_so_and_shows_no_payload(self, postgres: Postgres, door: Any) -> None:
        with psycopg.connect(postgres.dsn, autocommit=True) as db:
            db.execute("CREATE TABLE IF NOT EXISTS public.gifts (gift int)")
        with door(postgres.dsn) as db, pytest.raises(NotMigrated, match="fundlyhub migrate"):
            publish_event(completed(), session=db)

    def test_an_error_of_the_callers_engine_shows_no_payload(self, gifts: str) -> None:
        with a_connection(gifts) as db:
            db.execute(text("SET TRANSACTION READ ONLY"))
            with pytest.raises(Exception, match="read-only") as caught:
                publish_event(completed(transaction_id="pi_private"), session=db)
        assert "pi_private" not in str(caught.value)

    def test_what_is_no_session_is_wrong_use(self, dsn: str) -> None:
        with pytest.raises(WrongUse, match="publish_event_async"):
            publish_event(completed(), session=dsn)  # type: ignore[arg-type]  # that is the fault
        with pytest.raises(WrongUse, match="for synchronous ones"):
            asyncio.run(publish_event_async(completed(), session=dsn))  # type: ignore[arg-type]  # the same
        with pytest.raises(WrongUse, match="not dict"):
            publish_event({})  # type: ignore[arg-type]  # the same

    def test_an_event_that_breaks_a_rule_never_reaches_the_database(self, gifts: str) -> None:
        with a_psycopg_connection(gifts) as db:
            with pytest.raises(InvalidEvent, match="timestamp: must not be more than five minutes ahead"):
                publish_event(completed(), session=db, timestamp=datetime.now(UTC) + timedelta(minutes=6))
            db.commit()
        assert what_is_there(gifts) == (1, 0)


class TestManyAtOnce:
    def test_positions_ascend_in_the_order_given(self, settings: Settings) -> None:
        events = [Event.of(initiated()) for _ in range(2_500)]
        published = publish_events(events)
        assert [item.id for item in published] == [item.id for item in events]
        positions = [item.position for item in published]
        assert positions == sorted(set(positions), key=lambda position: position or 0)
        stored = rows(settings.dsn("events"), "SELECT id FROM events.events ORDER BY position")
        assert stored == [item.id for item in events]

    def test_a_thousand_are_one_round_trip(self, dsn: str) -> None:
        statements: list[str] = []
        engine = create_engine(sqlalchemy_url(dsn))
        with engine.connect() as db:
            event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
            publish_events([initiated() for _ in range(1_000)], session=db)
            db.commit()
        engine.dispose()
        assert len(statements) == 1
        assert len(rows(dsn)) == 1_000

    def test_large_events_are_spread_over_statements_that_the_server_can_take(self, dsn: str) -> None:
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

    def test_none_is_none(self, settings: Settings) -> None:
        assert publish_events([]) == []

    def test_without_a_session_all_or_none(self, settings: Settings) -> None:
        taken = publish_event(completed())
        with pytest.raises(ConflictingEvent):
            publish_events([completed(), Event.of(completed(), id=taken.id)])
        assert rows(settings.dsn("events")) == [taken.position]


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

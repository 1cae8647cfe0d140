"""Publishing from Python: in the caller's transaction, whatever the driver, and an id is one event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from fundlyhub import (
    ConflictingEvent,
    Event,
    InvalidEvent,
    NotMigrated,
    WrongUse,
    publish_event,
    publish_event_async,
)
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.events import read
from fundlyhub.settings import Settings
from tests.support.log import rows, sqlalchemy_url
from tests.support.make import completed

BUSINESS = "INSERT INTO public.gifts VALUES (1)"


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


class Ordered(PGDialect_psycopg):
    """psycopg, as a driver that is not known here: parameters are written ``%s`` and given in their order."""

    driver = "ordered"
    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        """It takes no names."""
        assert not parameters or not isinstance(parameters, Mapping)
        cursor.execute(statement, parameters)


EVERYTHING: dict[str, Any] = {
    "id": uuid4(),
    "timestamp": datetime(2026, 1, 31, 12, 0, 0, 123_456, UTC),
    "correlation_id": uuid4(),
    "causation_id": uuid4(),
    "metadata": {"source": "web", "rate": Decimal("0.10")},
}


def the_only_event(dsn: str) -> Event:
    """As a processor gets it."""
    engine = create_engine(sqlalchemy_url(dsn))
    with engine.connect() as db:
        (stored,) = read(db, rows(dsn))
    engine.dispose()
    return Event.stored(stored)


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

    @pytest.mark.parametrize("door", SYNC)
    def test_all_of_the_event_is_stored(self, gifts: str, door: Any) -> None:
        with door(gifts) as db:
            published = publish_event(completed(), session=db, **EVERYTHING)
            again = publish_event(published.payload, session=db, **EVERYTHING)
            db.commit()
        assert again == published
        assert the_only_event(gifts) == published

    @pytest.mark.parametrize("door", ASYNC)
    def test_all_of_it_by_asynchronous_callers_too(self, gifts: str, door: Any) -> None:
        async def act() -> tuple[Event, Event]:
            async with door(gifts) as db:
                published = await publish_event_async(completed(), session=db, **EVERYTHING)
                again = await publish_event_async(published.payload, session=db, **EVERYTHING)
                await db.commit()
                return published, again

        published, again = asyncio.run(act())
        assert again == published
        assert the_only_event(gifts) == published

    def test_a_session_chooses_its_connection_as_it_would_for_any_statement(self, gifts: str) -> None:
        """Sessions that know several databases choose by the statement."""
        engine = create_engine(sqlalchemy_url(gifts))

        class Choosing(Session):
            def get_bind(self, mapper: Any = None, *, clause: Any = None, **_: Any) -> Engine:
                assert "INSERT INTO events.publications (" in str(clause)
                return engine

        with Choosing() as session:
            publish_event(completed(), session=session)
            assert session.in_transaction()
            session.commit()
        engine.dispose()
        assert what_is_there(gifts) == (0, 1)

    def test_a_driver_that_writes_parameters_in_another_way_publishes_too(self, gifts: str) -> None:
        registry.register("postgresql.ordered", __name__, "Ordered")
        engine = create_engine(gifts.replace("postgresql://", "postgresql+ordered://", 1), paramstyle="format")
        with engine.connect() as connection:
            published = publish_event(completed(), session=connection, **EVERYTHING)
            again = publish_event(published.payload, session=connection, **EVERYTHING)
            connection.commit()
        engine.dispose()
        assert again == published
        assert the_only_event(gifts) == published

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
        with pytest.raises(WrongUse, match="a scoped_session: call it"):
            publish_event(completed(), session=scoped_session(sessionmaker()))  # type: ignore[arg-type]  # the same
        with pytest.raises(WrongUse, match="a sessionmaker: call it"):
            publish_event(completed(), session=sessionmaker())  # type: ignore[arg-type]  # the same
        with pytest.raises(WrongUse, match="pass the connection of your transaction"):
            publish_event(completed(), session=create_engine("postgresql+psycopg://"))  # type: ignore[arg-type]
        with pytest.raises(WrongUse, match="not dict"):
            publish_event({})  # type: ignore[arg-type]  # the same

    def test_an_event_that_breaks_a_rule_never_reaches_the_database(self, gifts: str) -> None:
        with a_psycopg_connection(gifts) as db:
            with pytest.raises(InvalidEvent, match="timestamp: must not be more than five minutes ahead"):
                publish_event(completed(), session=db, timestamp=datetime.now(UTC) + timedelta(minutes=6))
            db.commit()
        assert what_is_there(gifts) == (1, 0)

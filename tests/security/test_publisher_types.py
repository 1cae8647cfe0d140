"""A service that may publish its own types tries to publish those of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from sqlalchemy import Connection, create_engine

from fundlyhub import publish_event, publish_events
from fundlyhub.database import get_engine
from fundlyhub.errors import InvalidEvent, WrongState, WrongUse
from fundlyhub.events import publishers
from fundlyhub.monitoring.health import look
from fundlyhub.monitoring.time_limited import Bounded
from fundlyhub.settings import Settings
from tests.security.publishers import log, publisher
from tests.support.make import completed, initiated
from tests.support.platform import wait_until

Db = psycopg.Connection[Any]
OWN, OTHER = "donation.initiated", "donation.completed"


@pytest.fixture
def own(settings: Settings, dsn: str) -> Iterator[str]:
    """The DSN of a publisher that is limited to one type."""
    with publisher(dsn) as own:
        with get_engine("events").begin() as db:
            assert publishers.allow(db, role(own), [OWN], who="ann") == 1
        yield own


@pytest.fixture
def api(own: str) -> Iterator[Db]:
    with psycopg.connect(own, autocommit=True) as db:
        yield db


def role(dsn: str) -> str:
    return dsn.partition("//")[2].partition(":")[0]


ROW = {"n": 1, "id": "00000000-0000-4000-8000-000000000001", "type": OTHER, "version": "1.0.0", "payload": {},
       "occurred_at": "2026-01-01"}  # fmt: skip
PUBLISH = "SELECT events.publish_event('donation.completed', '{}')"
DOORS = {
    "publish_event": PUBLISH,
    "append_events": f"SELECT events.append_events('[{json.dumps(ROW)}]')",
    "without a role": f"SET ROLE NONE; SET search_path = pg_temp; {PUBLISH}",
}


@pytest.mark.parametrize("door", DOORS.values(), ids=list(DOORS))
def test_no_door_takes_anothers_type(dsn: str, api: Db, door: str) -> None:
    with pytest.raises(InsufficientPrivilege, match="type is not among those that this role may publish"):
        api.execute(door.encode())
    api.execute("SELECT events.publish_event(%s, '{}')", (OWN,))
    assert log(dsn, "type") == [(OWN,)]


def test_no_batch_hides_anothers_type(dsn: str, api: Db) -> None:
    rows = [{**ROW, "type": OWN}, {**ROW, "n": 2, "id": "00000000-0000-4000-8000-000000000002"}]
    with pytest.raises(InsufficientPrivilege):
        api.execute("SELECT * FROM events.append_events(%s)", (Jsonb(rows),))
    assert log(dsn) == []


def test_a_table_of_its_own_does_not_stand_for_ours(dsn: str, api: Db) -> None:
    api.execute("CREATE TEMP TABLE publisher_types (publisher text, type text); CREATE TEMP TABLE events (id uuid)")
    api.execute("SET search_path = pg_temp, pg_catalog")
    with pytest.raises(InsufficientPrivilege):
        api.execute(PUBLISH.encode())
    assert log(dsn) == []


def test_nobody_lifts_a_limit_of_his_own(api: Db) -> None:
    for attack in (
        "DELETE FROM events.publisher_types",
        "INSERT INTO events.publisher_types VALUES (session_user, 'a.b', 'x')",
        "SELECT setval('events.closer_look', 1, false)",
        "SELECT events.check_types('{}')",
        "CREATE OR REPLACE FUNCTION events.check_types(text[]) RETURNS void LANGUAGE sql AS ''",
    ):
        with pytest.raises(InsufficientPrivilege):
            api.execute(attack.encode())


def test_two_limits_at_a_time_are_both_kept(settings: Settings, own: str) -> None:
    with ThreadPoolExecutor(1) as pool, get_engine("events").connect() as first:
        first.begin()
        publishers.allow(first, role(own), ["c.d"], who="ann")

        def second() -> int:
            with get_engine("events").begin() as db:
                return publishers.allow(db, role(own), ["e.f"], who="bo")

        waiting = pool.submit(second)
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events.publisher_types'::regclass"
        with get_engine("events").connect() as db:
            wait_until(lambda: db.exec_driver_sql(query).scalar_one(), what="the second one to wait")
        first.commit()
        assert waiting.result(30) == 1
    with get_engine("events").connect() as db:
        assert [one.type for one in publishers.allowed(db)] == ["c.d", OWN, "e.f"]


@pytest.fixture
def session(own: str) -> Iterator[Connection]:
    engine = create_engine(own.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_python_says_so_as_of_any_rule(session: Connection) -> None:
    assert publish_event(initiated(), session=session).position
    session.commit()
    for one in ([completed()], [initiated(), completed()]):
        with pytest.raises(InvalidEvent, match=r"^type is not among those that this role may publish"):
            publish_events(one, session=session)
        session.rollback()


def test_the_last_type_is_not_taken(settings: Settings, own: str) -> None:
    engine = get_engine("events")
    with pytest.raises(WrongState, match="is not limited"), engine.begin() as db:
        publishers.revoke(db, role(own), [OWN])
    with pytest.raises(WrongUse, match="no such database role"), engine.begin() as db:
        publishers.allow(db, "nobody at all", [OWN], who="ann")
    with engine.begin() as db:
        assert [(one.publisher, one.type, one.exists) for one in publishers.allowed(db)] == [(role(own), OWN, True)]
        assert publishers.unlimit(db, role(own)) == 1
    with psycopg.connect(own, autocommit=True) as free:
        free.execute(PUBLISH.encode())


def test_health_as_an_api_is_good_with_a_publishers_rights(settings: Settings, own: str) -> None:
    health = look(settings.model_copy(update={"events_dsn": SecretStr(own)}), Bounded(), "api")
    assert health.ok, health.findings

"""Everything through a real PgBouncer, which takes no start-up options: in session mode, and in transaction mode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from fundlyhub import Event, publish_event
from fundlyhub.database import connect, get_engine
from fundlyhub.database.engines import make_engine
from fundlyhub.database.poolers import keeps_session
from fundlyhub.demo.check import compare
from fundlyhub.demo.publisher import Tally
from fundlyhub.demo.run import PROCESSORS, TAKERS
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.unsubscribe import unsubscribe_url
from fundlyhub.settings import Settings, get_settings
from fundlyhub.testing.databases import environment_of
from tests.console.site import served
from tests.support.brokers import broker_place
from tests.support.command import dsns
from tests.support.make import initiated
from tests.support.pgbouncer import MISSING, PREPARES_SINCE, PgBouncer, binary, version
from tests.support.platform import Platform, wait_until
from tests.support.rabbitmq import free_port
from tests.support.traffic import Traffic
from tests.webhooks.asking import ME

MODES = ("session", "transaction")


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["refuses", "ignores", "prepares", "does not prepare"])
def pooler(request: pytest.FixtureRequest, postgres: Postgres, mode: str) -> Iterator[PgBouncer]:
    """A pooler in each mode, which refuses start-up options or drops them; a newer one with prepared statements too."""
    if binary() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PgBouncer is not installed, and CI must not do without: see .ci/run")
        pytest.skip(MISSING)
    prepared = {"prepares": 200, "does not prepare": 0}.get(request.param)
    if prepared is not None and version() < PREPARES_SINCE:
        pytest.skip(f"PgBouncer before {'.'.join(map(str, PREPARES_SINCE))} has no max_prepared_statements")
    ignores = request.param == "ignores"
    with PgBouncer(postgres.dsn, mode, ignores_options=ignores, prepared=prepared) as running:  # type: ignore[arg-type]
        yield running


@pytest.fixture
def pooled(pooler: PgBouncer, dsn: str, valkey: Valkey, tmp_path: Path) -> Iterator[Settings]:
    """This process's settings, with all databases behind the pooler."""
    with environment_of(pooler.dsn(dsn), valkey, tmp_path) as ready:
        yield ready


@pytest.fixture
def app(pooled: Settings) -> Iterator[Engine]:
    """An engine behind the pooler, closed before its database is dropped."""
    engine = make_engine("app", pooled)
    yield engine
    engine.dispose()


def seen(engine: Engine, *, autocommit: bool) -> tuple[str, str, str, str]:
    """What a statement finds set."""
    names = ("search_path", "TimeZone", "statement_timeout", "lock_timeout")
    with engine.connect() as db:
        if autocommit:
            db = db.execution_options(isolation_level="AUTOCOMMIT")
        query = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
        return tuple(db.exec_driver_sql(query).one())


def test_each_statement_has_our_variables(app: Engine) -> None:
    for autocommit in (False, True, False):
        assert seen(app, autocommit=autocommit) == ("app", "UTC", "1min", "20s")


def test_a_transaction_keeps_them_after_an_error_and_in_a_savepoint(app: Engine) -> None:
    with app.connect() as db:
        with pytest.raises(Exception, match="division"), db.begin():
            db.exec_driver_sql("SELECT 1/0")
        with db.begin():
            db.exec_driver_sql("SELECT count(*) FROM notifications")
            with db.begin_nested():
                db.exec_driver_sql("SELECT count(*) FROM subscriptions")
            db.exec_driver_sql("SELECT count(*) FROM contacts")


def test_a_neighbour_of_the_pool_gets_none_of_our_variables(app: Engine, pooler: PgBouncer, dsn: str) -> None:
    with psycopg.connect(pooler.dsn(dsn), prepare_threshold=None) as neighbour:
        for _ in range(5):
            seen(app, autocommit=True)
            found = neighbour.execute("SELECT current_setting('search_path')").fetchone()
            assert found == ('"$user", public',)
            neighbour.rollback()


def test_events_that_many_threads_publish_are_where_they_say(pooled: Settings) -> None:
    def publish(_: int) -> Event:
        return publish_event(initiated())

    with ThreadPoolExecutor(8) as pool:
        events = list(pool.map(publish, range(80)))
    with get_engine("events").connect() as db:
        rows = db.exec_driver_sql("SELECT position, id FROM events.events")
        assert {(event.position, event.id) for event in events} == {tuple(row) for row in rows}


def test_a_publishers_own_connection_prepares_as_the_pooler_allows(
    pooled: Settings, pooler: PgBouncer, mode: str, request: pytest.FixtureRequest
) -> None:
    """A service's connection, not ours: psycopg prepares what runs often, unless it is told not to."""
    keeps = mode == "session" or "[prepares" in request.node.name
    own = create_engine(
        pooled.dsn("events").replace("postgresql:", "postgresql+psycopg:"),
        connect_args={} if keeps else {"prepare_threshold": None},
    )
    positions = []
    for _ in range(20):
        with Session(own) as session, session.begin():
            positions.append(publish_event(initiated(), session=session).position)
    own.dispose()
    assert len(set(positions)) == 20


def test_what_needs_a_session_gets_one_or_is_refused_in_one_line(pooled: Settings, mode: str) -> None:
    if mode == "session":
        with connect("events", autocommit=True, session=True) as db, connect("events", autocommit=True) as other:
            db.execute("SELECT pg_advisory_lock(4711)")
            assert db.execute("SELECT current_setting('search_path')").fetchone() == ("events",)
            assert other.execute("SELECT pg_try_advisory_lock(4711)").fetchone() == (False,)
        return
    with pytest.raises(WrongUse, match=r"FUNDLYHUB_EVENTS_DSN leads through a pooler in transaction mode") as refused:
        connect("events", session=True)
    assert "\n" not in str(refused.value)


@pytest.fixture
def platform_behind(pooler: PgBouncer, dsn: str, valkey: Valkey, tmp_path: Path) -> Iterator[Platform]:
    """Real processes whose databases are all behind the pooler."""
    # Messages of other tests name positions that hold other events here: a processor would claim what is not its own.
    with broker_place(valkey), environment_of(pooler.dsn(dsn), valkey, tmp_path), ExitStack() as stack:
        own = {name: value for name, value in os.environ.items() if name.startswith("FUNDLYHUB_")}
        yield stack.enter_context(Platform(own, dsn, valkey, tmp_path))


OTHERWISE = """
    WITH claims AS (
        SELECT processor, position FROM app.processed_events
        UNION ALL SELECT processor, position FROM analytics.processed_events
    )
    SELECT position, e.type, takers, array_agg(c.processor ORDER BY c.processor)
    FROM events.events e JOIN unnest(%s::text[], %s::int[]) AS t(type, takers) USING (type)
        JOIN claims c USING (position)
    WHERE c.processor = ANY (%s::text[]) AND position = ANY (%s::bigint[])
    GROUP BY position, e.type, takers HAVING count(*) <> takers
"""
"""Events that have not had the effects that their type has."""


def otherwise(dsn: str, tally: Tally) -> list[tuple[Any, ...]]:
    """Events with more or fewer claims than their type has processors."""
    given = (list(TAKERS), list(TAKERS.values()), list(PROCESSORS), tally.wanted)
    with psycopg.connect(dsn) as db:
        return db.execute(OTHERWISE, given).fetchall()


@pytest.mark.chaos  # for its length
def test_all_processors_work_behind_it(platform_behind: Platform, dsn: str, mode: str) -> None:
    """The relay takes the direct way where it must; publishers, workers and commands take the pooler."""
    traffic = Traffic(400)
    ((run, tally),) = traffic.runs
    relays = dsns(dsn) if mode == "transaction" else {}
    platform_behind.relay(FUNDLYHUB_PROCESSORS="", **relays)
    platform_behind.worker("writes,projections,notifications,broadcasts", FUNDLYHUB_PROCESSORS="")
    traffic.wait_made(traffic.effects)
    assert otherwise(dsn, tally) == []
    assert traffic.made() == traffic.effects
    assert compare(get_settings(), run).mismatches == []
    assert platform_behind.value("SELECT count(*) FROM events.dead_letters") == 0
    assert platform_behind.value("SELECT count(*) FROM events.attempts WHERE attempts > 0") == 0
    done = platform_behind.run("status", "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["relay", "verify"])
def test_what_needs_a_session_runs_in_session_mode_and_is_refused_in_the_other(
    platform_behind: Platform, mode: str, command: str
) -> None:
    if mode == "session" and command == "relay":
        relay = platform_behind.relay(FUNDLYHUB_PROCESSORS="")
        wait_until(lambda: relay.said("leading, in epoch"), what="the relay")
        assert relay.terminate() == 0
        return
    done = platform_behind.run(command)
    if mode == "session":
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2
    assert "FUNDLYHUB_EVENTS_DSN leads through a pooler in transaction mode" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


@pytest.mark.chaos  # for its length
def test_webhooks_and_console_work_behind_it(platform_behind: Platform, tmp_path: Path) -> None:
    hooks = free_port()
    settings = get_settings()
    platform_behind.start("webhooks", [platform_behind.python, "-m", "fundlyhub", "webhooks", "--port", str(hooks)], {})
    link = unsubscribe_url(f"http://127.0.0.1:{hooks}/", ME, "updates", settings.secret)

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(link).status_code == 200
        return False

    wait_until(answers, what="the webhooks")
    assert httpx.post(link, content="List-Unsubscribe=One-Click").status_code == 200
    assert platform_behind.value("SELECT category FROM app.preferences") == "updates"
    event = publish_event(initiated())
    with served(tmp_path) as site:
        operator = site.visitor("operator")
        for page in ("/", "/processors", "/events", f"/events/{event.position}", "/letters", "/messages", "/rebuilds"):
            assert operator.get(page).status_code == 200, page
        operator.post("/processors/campaign_stats/pause", {"reason": "a pooler"})
    assert platform_behind.value("SELECT who FROM events.processor_pauses WHERE ended_at IS NULL") == "operator"


@pytest.mark.chaos  # for its length
def test_a_rebuild_is_compared_behind_it_and_leaves_no_lock(platform_behind: Platform) -> None:
    """A lock of a session would stay with the pooler's server connection, and stop all that comes after."""
    assert platform_behind.run("rebuild", "start", "campaign_stats").returncode == 0
    for _ in range(2):
        done = platform_behind.run("rebuild", "diff", "campaign_stats")
        assert done.returncode == 0, done.stderr
    assert platform_behind.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    done = platform_behind.run("rebuild", "cancel", "campaign_stats")
    assert done.returncode == 0, done.stderr


def test_a_direct_connection_needs_no_detour(settings: Settings) -> None:
    """Its variables are those of its start: nothing is set again, and statements are prepared."""
    with connect("app") as db:
        assert keeps_session(db)
        sources = "SELECT name FROM pg_settings WHERE source = 'session'"
        assert db.execute(sources).fetchall() == []

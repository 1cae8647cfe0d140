"""The schema in which tables are made anew: it goes, whatever happens, and nothing else is touched."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

import psycopg
import pytest
from sqlalchemy import Connection

from fundlyhub import Event, publish_events
from fundlyhub.database import connect, get_engine
from fundlyhub.errors import Permanent, Unavailable
from fundlyhub.events.catalogue.donation import DonationCompleted
from fundlyhub.processing import ProjectionProcessor
from fundlyhub.processing.executor import execute
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import database_dsn
from fundlyhub.verification import Report
from fundlyhub.verification.findings import Findings
from fundlyhub.verification.tables.replay import Replay
from fundlyhub.verification.tables.shadow import Shadow
from tests.support import ROOT
from tests.support.command import dsns, environment
from tests.support.make import completed
from tests.support.platform import wait_until
from tests.verification.world import found, sql, verified

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'verify%%'"
SECRET = {"FUNDLYHUB_SECRET_KEY": "a key for tests"}


def begun(settings: Settings) -> subprocess.Popen[bytes]:
    """A verification that is at work in its schema."""
    argv = [sys.executable, "-m", "fundlyhub", "verify", "--json"]
    variables = environment({**dsns(settings.dsn("events")), **SECRET})
    process = subprocess.Popen(argv, env=variables, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    claims = "SELECT to_regclass(%s || '.processed_events') IS NOT NULL"
    wait_until(lambda: any(sql(claims, name)[0][0] for (name,) in sql(SCHEMAS)), what="its schema")
    return process


def test_it_is_gone_when_the_verification_ends(at_rest: Settings) -> None:
    verified()
    assert sql(SCHEMAS) == []


@pytest.mark.chaos  # for its length
def test_it_is_gone_when_the_verification_is_stopped(at_rest: Settings) -> None:
    process = begun(at_rest)
    process.terminate()
    assert process.wait(30) != 0
    assert sql(SCHEMAS) == []


def test_it_is_gone_when_the_verification_fails(at_rest: Settings) -> None:
    def fail(what: str, done: int, total: int) -> None:
        if what.startswith("replaying"):
            assert sql(SCHEMAS) != []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        verified(tell=fail)
    assert sql(SCHEMAS) == []


@pytest.mark.chaos  # for its length
def test_what_a_killed_verification_left_is_dropped_by_the_next(at_rest: Settings) -> None:
    process = begun(at_rest)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    left = sql(SCHEMAS)
    assert len(left) == 1
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7759481 AND objsubid = 2"
    wait_until(lambda: sql(held) == [(0,)], what="the server to notice")
    verified("campaign_stats")
    verified("subscription_write")
    assert sql(SCHEMAS) == []


def test_two_at_once_leave_each_others_schema_alone(at_rest: Settings) -> None:
    with Shadow("app", at_rest) as one:
        with Shadow("app", at_rest) as other:
            assert {name for (name,) in sql(SCHEMAS)} == {one.name, other.name}
        assert sql(SCHEMAS) == [(one.name,)]


def test_a_schema_that_somebody_else_called_so_stays(at_rest: Settings) -> None:
    sql("CREATE SCHEMA verify_0123456789ab")
    verified("subscription_write")
    assert sql(SCHEMAS) == [("verify_0123456789ab",)]


def test_nothing_is_touched(at_rest: Settings) -> None:
    state = """SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables
               WHERE schemaname IN ('events', 'app', 'analytics')"""
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = 0")
    with connect("events", autocommit=True) as db:
        db.execute("SELECT pg_stat_force_next_flush()")
    before = sql(state)
    assert not verified().ok
    assert sql(state) == before


class Trespasser(ProjectionProcessor, register=False):
    """Names the live schema, and so writes past the one that is made for it."""

    name = "trespasser"
    handles = (DonationCompleted,)

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        db.exec_driver_sql("INSERT INTO analytics.only_live VALUES (1)")


class Moody(Trespasser, register=False):
    """Refuses today what it took yesterday."""

    name = "moody"
    refuses = False

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        if self.refuses and len(events) < 3:
            raise Permanent("not today")
        if self.refuses:
            raise KeyError("donor@example.org")


def replayed(settings: Settings, processor: type[ProjectionProcessor], events: int) -> Findings:
    """What is found while a processor's claims are replayed."""
    published = publish_events(completed() for _ in range(events))
    execute(processor, [event.position or 0 for event in published])
    Moody.refuses = True
    findings = Report().findings
    with Shadow("analytics", settings) as shadow, get_engine("events").connect() as log, shadow.db.begin():
        assert Replay(shadow, log, processor, findings).rest() == events
    Moody.refuses = False
    return findings


def test_a_replay_reaches_no_live_table(at_rest: Settings) -> None:
    sql("CREATE TABLE analytics.only_live (n int)")
    findings = replayed(at_rest, Trespasser, 2)
    assert sql("SELECT count(*) FROM analytics.only_live") == [(1,)]
    assert findings.counts == {"different": 2}
    refused = "claimed, and its handler refuses it now: it writes to analytics.only_live"
    assert findings.listed[0].what == f"{refused}: tables must be named without a schema"


def test_a_handler_that_refuses_now_what_it_took_is_named_with_its_event(at_rest: Settings) -> None:
    findings = replayed(at_rest, Moody, 3)
    assert [one.what for one in findings.listed] == ["claimed, and its handler refuses it now: not today"] * 3
    assert len({one.event_id for one in findings.listed}) == 3


def test_claims_that_go_away_meanwhile_end_it(at_rest: Settings) -> None:
    def take_away(what: str, done: int, total: int) -> None:
        if what.startswith("replaying"):
            sql("DELETE FROM analytics.processed_events WHERE processor = 'campaign_stats'")

    with pytest.raises(Unavailable, match="claims were taken away"):
        verified("campaign_stats", tell=take_away)


def test_a_role_that_may_make_no_schema_is_told_so(at_rest: Settings) -> None:
    dsn, role = at_rest.dsn("events"), "a_reader"
    name = dsn.rpartition("/")[2]
    sql(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'x' IN ROLE pg_read_all_data")
    with psycopg.connect(dsn) as db:
        parts = db.info
        as_reader = f"postgresql://{role}:x@{parts.host}:{parts.port}/{name}"
    assert database_dsn(as_reader, name) == as_reader
    settings = Settings(events_dsn=as_reader, app_dsn=as_reader, analytics_dsn=as_reader)
    with pytest.raises(Unavailable, match="GRANT CREATE ON DATABASE, or leave tables out with --no-tables"):
        Shadow("app", settings).__enter__()
    assert found("subscription_write") == []
